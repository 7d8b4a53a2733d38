//! Source code: which grammar reads it, and the outline of what it defines.
//!
//! The grammars are tree-sitter's. A chunk knows the definitions that it lies in by their first lines (`impl Store >
//! fn get(&self, key: Key)`), as a passage of prose knows its headings.
//!
//! Cost: a file is parsed twice, once for the outline and once to be cut: about 10 MB a second each.
//! When not to use: files beyond [`BYTES_MAX`], which are cut as text.

use tree_sitter::{Node, Parser};

use crate::markdown::Heading;

/// A language whose structure is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Syntax {
    /// `.c`, `.h`.
    C,
    /// `.go`.
    Go,
    /// `.java`.
    Java,
    /// `.js`, `.mjs`, `.cjs`, `.jsx`.
    JavaScript,
    /// `.py`.
    Python,
    /// `.rs`.
    Rust,
    /// `.ts`, `.mts`, `.cts`.
    TypeScript,
    /// `.tsx`.
    Tsx,
    /// Any other: cut as text.
    Other,
}

/// Bytes of a file that is parsed.
const BYTES_MAX: usize = 2 << 20;

/// Levels of definitions in definitions.
const DEPTH_MAX: usize = 4;

/// Characters of a definition's first line.
const LINE_CHARS_MAX: usize = 100;

/// What the grammars call a definition, as far as it has a name and holds others or code.
const DEFINITIONS: [&str; 24] = [
    "class_declaration",
    "class_definition",
    "constructor_declaration",
    "enum_declaration",
    "enum_item",
    "enum_specifier",
    "function_declaration",
    "function_definition",
    "function_item",
    "generator_function_declaration",
    "impl_item",
    "interface_declaration",
    "internal_module",
    "macro_definition",
    "method_declaration",
    "method_definition",
    "mod_item",
    "record_declaration",
    "struct_item",
    "struct_specifier",
    "trait_item",
    "type_alias_declaration",
    "type_declaration",
    "union_item",
];

impl Syntax {
    /// The language of a file, by what its name ends in; nothing if it is no source code.
    pub(crate) fn of_extension(extension: &str) -> Option<Self> {
        Some(match extension {
            "c" | "h" => Self::C,
            "go" => Self::Go,
            "java" => Self::Java,
            "js" | "mjs" | "cjs" | "jsx" => Self::JavaScript,
            "py" | "pyi" => Self::Python,
            "rs" => Self::Rust,
            "ts" | "mts" | "cts" => Self::TypeScript,
            "tsx" => Self::Tsx,
            "cc" | "cpp" | "cxx" | "hh" | "hpp" | "cs" | "rb" | "php" | "sh" | "bash" | "sql" | "kt"
            | "kts" | "swift" | "scala" | "lua" | "pl" | "r" | "jl" | "ex" | "exs" | "erl" | "hs" | "ml"
            | "clj" | "dart" | "zig" | "proto" | "toml" | "yaml" | "yml" | "ini" | "tf" => Self::Other,
            _ => return None,
        })
    }

    /// Its grammar, for a text that is not too long for it.
    pub(crate) fn grammar(self, text: &str) -> Option<tree_sitter::Language> {
        let grammar = match self {
            Self::C => tree_sitter_c::LANGUAGE,
            Self::Go => tree_sitter_go::LANGUAGE,
            Self::Java => tree_sitter_java::LANGUAGE,
            Self::JavaScript => tree_sitter_javascript::LANGUAGE,
            Self::Python => tree_sitter_python::LANGUAGE,
            Self::Rust => tree_sitter_rust::LANGUAGE,
            Self::TypeScript => tree_sitter_typescript::LANGUAGE_TYPESCRIPT,
            Self::Tsx => tree_sitter_typescript::LANGUAGE_TSX,
            Self::Other => return None,
        };
        (text.len() <= BYTES_MAX).then(|| grammar.into())
    }
}

/// The definitions of a text, in order, each with where it ends.
pub(crate) fn outline(syntax: Syntax, text: &str) -> Vec<Heading> {
    let Some(grammar) = syntax.grammar(text) else { return Vec::new() };
    let mut parser = Parser::new();
    let tree = parser.set_language(&grammar).ok().and_then(|()| parser.parse(text, None));
    let Some(tree) = tree else { return Vec::new() };
    let mut found = Vec::new();
    // Nodes that wait, with the level that a definition there would have: a stack, since a stranger chose the nesting.
    let mut waiting = vec![(tree.root_node(), 1)];
    while let Some((node, level)) = waiting.pop() {
        let is_definition = DEFINITIONS.contains(&node.kind());
        if is_definition {
            found.extend(heading(&node, level, text));
        }
        let level = level + usize::from(is_definition);
        // Statements may hold definitions, expressions hardly.
        let has_more = level <= DEPTH_MAX && !node.kind().ends_with("expression");
        if has_more {
            let mut cursor = node.walk();
            waiting.extend(node.named_children(&mut cursor).map(|child| (child, level)));
        }
    }
    found.sort_by_key(|heading| (heading.start, heading.level));
    found
}

fn heading(node: &Node<'_>, level: usize, text: &str) -> Option<Heading> {
    let range = node.byte_range();
    let body = node.child_by_field_name("body").map_or(range.end, |body| body.start_byte());
    let line = text.get(range.start..body)?.lines().next().unwrap_or_default();
    let line: String = line.trim().trim_end_matches(['{', ':']).trim().chars().take(LINE_CHARS_MAX).collect();
    (!line.is_empty()).then_some(Heading { start: range.start, end: range.end, level, text: line })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::markdown;

    #[test]
    fn a_place_knows_the_definitions_it_lies_in() {
        let cases = [
            (
                Syntax::Rust,
                "use a;\nimpl Store {\n    fn get(&self) -> u8 {\n        HERE\n    }\n}\n",
                "impl Store > fn get(&self) -> u8",
            ),
            (
                Syntax::Python,
                "class A:\n    def f(self):\n        pass\n\n    def g(self, x):\n        return HERE\n",
                "class A > def g(self, x)",
            ),
            (
                Syntax::TypeScript,
                "export class A {\n  m(x: number) { return HERE }\n}\n",
                "class A > m(x: number)",
            ),
            (Syntax::Tsx, "function A() { return <b>{HERE}</b> }\n", "function A()"),
            (Syntax::JavaScript, "function f(a) {\n  HERE\n}\nf()\n", "function f(a)"),
            (
                Syntax::Go,
                "package a\n\nfunc (s *S) Get(k int) int {\n\treturn HERE\n}\n",
                "func (s *S) Get(k int) int",
            ),
            (Syntax::Java, "class A { int f() { return HERE; } }\n", "class A > int f()"),
            (Syntax::C, "int main(void) {\n  HERE;\n}\n", "int main(void)"),
            (Syntax::Rust, "fn f() {}\n\nconst A: u8 = HERE;\n", ""),
            (Syntax::Other, "def f\n  HERE\nend\n", ""),
        ];
        for (syntax, text, expected) in cases {
            let outline = outline(syntax, text);
            let at = text.find("HERE").expect("a place");
            assert_eq!(markdown::path(&outline, at).join(" > "), expected, "{syntax:?} {outline:?}");
        }
    }

    #[test]
    fn nonsense_is_read_without_harm() {
        for syntax in [Syntax::Rust, Syntax::Python, Syntax::C, Syntax::TypeScript, Syntax::Go, Syntax::Java]
        {
            for text in ["{".repeat(50_000), "(((fn class ".repeat(2_000), "\u{0}\u{FFFD}\n".repeat(1_000)] {
                outline(syntax, &text);
            }
        }
    }
}
