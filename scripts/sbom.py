#!/usr/bin/env python3
"""What the binary is made of, as CycloneDX 1.5: every crate of its build for this machine, with version, licence,
checksum and what it depends on. From `cargo metadata` and Cargo.lock alone; the same tree gives the same bytes.

    scripts/sbom.py FILE
"""

import json
import pathlib
import re
import subprocess
import sys
import uuid

ROOT = pathlib.Path(__file__).resolve().parent.parent
# What is shipped: the server, which is also the command line, and the extension module of the Python package.
SHIPPED = ("kithdb-server", "kithdb-python")


def metadata():
    host = subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout
    host = re.search(r"^host: (.+)$", host, re.MULTILINE).group(1)
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", host]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout)


def checksums(lock):
    """SHA-256 of each crate from a registry, by name and version."""
    packages = [dict(re.findall(r'^(\w+) = "(.+)"$', part, re.MULTILINE)) for part in lock.split("[[package]]\n")[1:]]
    return {(one["name"], one["version"]): one["checksum"] for one in packages if "checksum" in one}


def reached(nodes, starts, kinds):
    """Every package that these depend on by such dependencies, and these."""
    found, todo = set(), list(starts)
    while todo:
        package = todo.pop()
        if package not in found:
            found.add(package)
            todo.extend(dependencies(nodes[package], kinds))
    return found


def dependencies(node, kinds):
    return [dep["pkg"] for dep in node["deps"] if any(kind["kind"] in kinds for kind in dep["dep_kinds"])]


def component(package, sums, is_linked):
    name, version = package["name"], package["version"]
    reference = f"pkg:cargo/{name}@{version}"
    entry = {"type": "library", "bom-ref": reference, "name": name, "version": version, "purl": reference}
    # What only builds it is not part of it.
    entry["scope"] = "required" if is_linked else "excluded"
    if package.get("license"):
        entry["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    if (name, version) in sums:
        entry["hashes"] = [{"alg": "SHA-256", "content": sums[name, version]}]
    if package.get("repository"):
        entry["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
    return entry


def bill(tree, sums):
    packages = {package["id"]: package for package in tree["packages"]}
    nodes = {node["id"]: node for node in tree["resolve"]["nodes"]}
    starts = [id for id in tree["workspace_members"] if packages[id]["name"] in SHIPPED]
    assert len(starts) == len(SHIPPED), f"the workspace has not all of {SHIPPED}"
    linked = reached(nodes, starts, {None})
    built = reached(nodes, starts, {None, "build"})
    reference = {id: f"pkg:cargo/{package['name']}@{package['version']}" for id, package in packages.items()}
    ordered = sorted(built, key=lambda id: reference[id])
    version = packages[starts[0]]["version"]
    depends = [
        {
            "ref": reference[id],
            "dependsOn": sorted({reference[dep] for dep in dependencies(nodes[id], {None, "build"})}),
        }
        for id in ordered
    ]
    root = f"pkg:generic/kithdb@{version}"
    depends.insert(0, {"ref": root, "dependsOn": sorted(reference[id] for id in starts)})
    components = [component(packages[id], sums, id in linked) for id in ordered]
    contents = json.dumps([components, depends])
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, contents)}",
        "version": 1,
        "metadata": {
            "component": {"type": "application", "bom-ref": root, "name": "kithdb", "version": version},
        },
        "components": components,
        "dependencies": depends,
    }


def main():
    if len(sys.argv) != 2:
        sys.exit("sbom: say where to write it: scripts/sbom.py FILE")
    path = pathlib.Path(sys.argv[1])
    made = bill(metadata(), checksums((ROOT / "Cargo.lock").read_text()))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(made, indent=1) + "\n")
    bare = [entry["name"] for entry in made["components"] if "licenses" not in entry]
    linked = sum(entry["scope"] == "required" for entry in made["components"])
    print(f"{path}: {len(made['components'])} crates, {linked} of them linked; without a licence: {bare or 'none'}")


if __name__ == "__main__":
    main()
