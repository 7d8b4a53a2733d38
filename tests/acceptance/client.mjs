// Every method of the JavaScript client that has an operation here, on a server.
//
//     node client.mjs URL
//
// Ends with one line, `N methods answer as expected`. The collections that are used are removed first.

import assert from "node:assert/strict";
import { createRequire } from "node:module";

const { QdrantClient } = createRequire(`${process.cwd()}/`)("@qdrant/js-client-rest");
const client = new QdrantClient({ url: process.argv[2], timeout: 60000 });
const methods = new Set();
const ask = (method, ...given) => {
    methods.add(method);
    return client[method](...given);
};
const ids = (hits) => hits.map((hit) => hit.id);

await client.deleteCollection("js");
assert.equal(await ask("createCollection", "js", {
    vectors: { a: { size: 2, distance: "Dot" } },
    sparse_vectors: { s: {} },
}), true);
assert.equal((await ask("collectionExists", "js")).exists, true);
assert.ok((await ask("getCollections")).collections.some((one) => one.name === "js"));
assert.deepEqual((await ask("getCollection", "js")).config.params.vectors, { a: { size: 2, distance: "Dot" } });
assert.equal(await ask("updateCollection", "js", { optimizers_config: { indexing_threshold: 10000 } }), true);

const point = (id) => ({
    id,
    vector: { a: [id, 1], s: { indices: [id % 3], values: [id] } },
    payload: { n: id, tag: id % 2 ? "odd" : "even" },
});
const done = (answer) => assert.equal(answer.status, "completed");
done(await ask("upsert", "js", { wait: true, points: [1, 2, 3, 4, 5, 6].map(point) }));
done(await ask("createPayloadIndex", "js", { wait: true, field_name: "tag", field_schema: "keyword" }));
done(await ask("setPayload", "js", { wait: true, payload: { more: 1 }, points: [1] }));
done(await ask("overwritePayload", "js", { wait: true, payload: { tag: "odd" }, points: [3] }));
done(await ask("deletePayload", "js", { wait: true, keys: ["more"], points: [1] }));
done(await ask("clearPayload", "js", { wait: true, points: [5] }));
done(await ask("updateVectors", "js", { wait: true, points: [{ id: 2, vector: { a: [9, 9] } }] }));
done(await ask("deleteVectors", "js", { wait: true, points: [4], vector: ["s"] }));
(await ask("batchUpdate", "js", { wait: true, operations: [{ upsert: { points: [point(7)] } }, { delete: { points: [7] } }] }))
    .forEach(done);
assert.deepEqual(ids(await ask("retrieve", "js", { ids: [1, 3], with_payload: true })), [1, 3]);

const odd = { must: [{ key: "tag", match: { value: "odd" } }] };
assert.equal((await ask("count", "js", { filter: odd })).count, 2);
assert.deepEqual(ids((await ask("scroll", "js", { filter: odd, limit: 9 })).points), [1, 3]);
assert.deepEqual(ids((await ask("query", "js", { query: [1, 0], using: "a", limit: 2 })).points), [2, 6]);
assert.deepEqual(ids(await ask("search", "js", { vector: { name: "a", vector: [1, 0] }, limit: 2 })), [2, 6]);
const sparse = { name: "s", vector: { indices: [0], values: [1] } };
assert.deepEqual(ids(await ask("search", "js", { vector: sparse, limit: 1 })), [6]);
const both = await ask("queryBatch", "js", { searches: [1, 2].map((limit) => ({ query: [1, 0], using: "a", limit })) });
assert.deepEqual(both.map((one) => one.points.length), [1, 2]);
const batch = await ask("searchBatch", "js", { searches: [{ vector: { name: "a", vector: [1, 0] }, limit: 1 }] });
assert.deepEqual(batch.map(ids), [[2]]);
const groups = await ask("queryGroups", "js", { query: [1, 0], using: "a", group_by: "tag", limit: 2, group_size: 1 });
assert.deepEqual(groups.groups.map((one) => one.id), ["even", "odd"]);
const older = { vector: { name: "a", vector: [1, 0] }, group_by: "tag", limit: 2, group_size: 1 };
assert.equal((await ask("searchPointGroups", "js", older)).groups.length, 2);
assert.deepEqual(ids(await ask("recommend", "js", { positive: [1], negative: [2], using: "a", limit: 1 })), [3]);
assert.equal((await ask("recommendBatch", "js", { searches: [{ positive: [1], using: "a", limit: 1 }] })).length, 1);
const grouped = { positive: [1], using: "a", group_by: "tag", limit: 2, group_size: 1 };
assert.ok((await ask("recommendPointGroups", "js", grouped)).groups.length > 0);
const context = [{ positive: 1, negative: 2 }];
assert.ok((await ask("discoverPoints", "js", { target: [1, 0], context, using: "a", limit: 2 })).length > 0);
assert.equal((await ask("discoverBatchPoints", "js", { searches: [{ target: [1, 0], using: "a", limit: 1 }] })).length, 1);
assert.deepEqual((await ask("facet", "js", { key: "tag" })).hits, [
    { value: "even", count: 3 },
    { value: "odd", count: 2 },
]);
assert.ok((await ask("searchMatrixPairs", "js", { sample: 4, limit: 2, using: "a" })).pairs.length > 0);
assert.equal((await ask("searchMatrixOffsets", "js", { sample: 4, limit: 2, using: "a" })).ids.length, 4);
done(await ask("deletePayloadIndex", "js", "tag", { wait: true }));
done(await ask("delete", "js", { wait: true, points: [6] }));

const alias = { create_alias: { collection_name: "js", alias_name: "js-alias" } };
assert.equal(await ask("updateCollectionAliases", { actions: [alias] }), true);
assert.ok((await ask("getAliases")).aliases.some((one) => one.alias_name === "js-alias"));
assert.equal((await ask("getCollectionAliases", "js")).aliases.length, 1);

const snapshot = await ask("createSnapshot", "js");
assert.ok((await ask("listSnapshots", "js")).some((one) => one.name === snapshot.name));
const location = `${process.argv[2].replace(/\/$/, "")}/collections/js/snapshots/${snapshot.name}`;
assert.equal(await ask("recoverSnapshot", "js", { location }), true);
assert.equal(await ask("deleteSnapshot", "js", snapshot.name), true);
const part = await ask("createShardSnapshot", "js", 0, {});
assert.ok((await ask("listShardSnapshots", "js", 0)).some((one) => one.name === part.name));
const place = `${process.argv[2].replace(/\/$/, "")}/collections/js/shards/0/snapshots/${part.name}`;
assert.equal(await ask("recoverShardFromSnapshot", "js", 0, { location: place }), true);
assert.equal(await ask("deleteShardSnapshot", "js", 0, part.name, {}), true);
const whole = await ask("createFullSnapshot");
assert.ok((await ask("listFullSnapshots")).some((one) => one.name === whole.name));
assert.equal(await ask("deleteFullSnapshot", whole.name), true);
assert.equal(await ask("deleteCollection", "js"), true);
console.log(`${methods.size} methods answer as expected`);
