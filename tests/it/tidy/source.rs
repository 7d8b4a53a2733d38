//! Source text split into what it is: code, comments, the contents of literals. As much of Rust's lexer as it takes.

/// What a character is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Code,
    Comment,
    /// Inside the quotes of a string or a character.
    Literal,
}

/// One file of the repository.
pub(super) struct Source {
    /// Its path from the root, with `/`.
    pub(super) path: String,
    pub(super) text: String,
    classes: Vec<Class>,
}

impl Source {
    pub(super) fn new(path: String, text: String) -> Self {
        let is_rust = path.ends_with(".rs");
        let classes = if is_rust { classify(&text) } else { vec![Class::Code; text.chars().count()] };
        Self { path, text, classes }
    }

    /// The text with everything blanked that is not of these classes; lines stay where they are.
    pub(super) fn only(&self, classes: &[Class]) -> String {
        let keep = |(c, class): (char, &Class)| if c == '\n' || classes.contains(class) { c } else { ' ' };
        self.text.chars().zip(&self.classes).map(keep).collect()
    }

    /// Characters of each line, those inside literals not counted: a golden text need not be broken.
    pub(super) fn line_chars(&self) -> Vec<usize> {
        let mut counts = vec![0];
        for (c, class) in self.text.chars().zip(&self.classes) {
            match counts.last_mut() {
                _ if c == '\n' => counts.push(0),
                Some(count) => *count += usize::from(*class != Class::Literal),
                None => {}
            }
        }
        counts
    }

    /// The name, the first line (from 1) and the number of lines of every function.
    pub(super) fn functions(&self) -> Vec<(String, usize, usize)> {
        let code: Vec<char> = self.only(&[Class::Code]).chars().collect();
        let is_word = |c: &char| c.is_alphanumeric() || *c == '_';
        let mut functions = Vec::new();
        for start in 0..code.len().saturating_sub(3) {
            let before = start.checked_sub(1).is_some_and(|before| is_word(&code[before]));
            if before || code[start..start + 3] != ['f', 'n', ' '] {
                continue;
            }
            let name: String = code[start + 3..].iter().take_while(|c| is_word(c)).collect();
            if let Some(end) = body_end(&code[start..]).filter(|_| !name.is_empty()) {
                let lines = |code: &[char]| code.iter().filter(|c| **c == '\n').count();
                functions.push((name, lines(&code[..start]) + 1, lines(&code[start..start + end]) + 1));
            }
        }
        functions
    }
}

/// Where the body ends that begins in this code; nothing for a function without one.
fn body_end(code: &[char]) -> Option<usize> {
    let (mut brackets, mut braces) = (0, 0);
    for (position, c) in code.iter().enumerate() {
        match c {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets -= 1,
            '{' => braces += 1,
            '}' if braces == 1 => return Some(position),
            '}' => braces -= 1,
            ';' if brackets == 0 && braces == 0 => return None,
            _ => {}
        }
    }
    None
}

fn classify(text: &str) -> Vec<Class> {
    let chars: Vec<char> = text.chars().collect();
    let mut classes = Vec::with_capacity(chars.len());
    while classes.len() < chars.len() {
        let at = classes.len();
        let rest = &chars[at..];
        let (class, len) = match rest {
            ['/', '/', ..] => (Class::Comment, rest.iter().take_while(|c| **c != '\n').count()),
            ['/', '*', ..] => (Class::Comment, comment_len(rest)),
            ['r', '"' | '#', ..] if !follows_word(&chars, at) => (Class::Literal, raw_len(rest)),
            ['"', ..] => (Class::Literal, quoted_len(rest, '"')),
            ['\'', '\\', ..] | ['\'', _, '\'', ..] => (Class::Literal, quoted_len(rest, '\'')),
            _ => (Class::Code, 1),
        };
        let is_literal = class == Class::Literal && len > 1;
        classes.extend(std::iter::repeat_n(class, len.clamp(1, rest.len())));
        if is_literal {
            // The quotes are code.
            classes[at] = Class::Code;
            if let Some(last) = classes.last_mut() {
                *last = Class::Code;
            }
        }
    }
    classes
}

/// Whether the character before is part of a word; `br` begins a literal all the same.
fn follows_word(chars: &[char], at: usize) -> bool {
    let before = |back: usize| at.checked_sub(back).map(|position| chars[position]);
    let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    is_word(before(1)) && (before(1) != Some('b') || is_word(before(2)))
}

fn comment_len(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match rest[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] if depth == 1 => return at + 2,
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    at
}

fn quoted_len(rest: &[char], quote: char) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// The length of `r"..."` or `r#"..."#`; 1 for a raw identifier.
fn raw_len(rest: &[char]) -> usize {
    let hashes = rest[1..].iter().take_while(|c| **c == '#').count();
    if rest.get(1 + hashes) != Some(&'"') {
        return 1;
    }
    let end: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    let body = &rest[2 + hashes..];
    let len = body.windows(end.len()).position(|window| window == end).unwrap_or(body.len());
    2 + hashes + len + end.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "fn a<'x>(c: char) {\n  // unsafe\n  let s = \"un\\\"safe\"; let r = br#\"fn \"b\"\"#;\n  \
                        '\"'; '\\''; /* a /* b */ c */ d\n}\nfn e();\nfn f() -> [u8; 2] { [0, 0] }\n";

    #[test]
    fn tells_code_from_comments_and_literals() {
        let source = Source::new("a.rs".into(), TEXT.into());
        let code = source.only(&[Class::Code]);
        assert!(!code.contains("unsafe") && !code.contains("fn \"b"), "{code}");
        assert!(code.contains("<'x>") && code.contains(" d\n"), "{code}");
        let comments = source.only(&[Class::Comment]);
        assert!(comments.contains("// unsafe") && comments.contains("b */ c */"), "{comments}");
        assert_eq!(source.only(&[Class::Code, Class::Comment, Class::Literal]), TEXT);
    }

    #[test]
    fn measures_functions_and_lines() {
        let source = Source::new("a.rs".into(), TEXT.into());
        assert_eq!(source.functions(), [("a".into(), 1, 5), ("f".into(), 7, 1)]);
        let golden = Source::new("a.rs".into(), format!("let a = \"{}\";", "x".repeat(200)));
        assert_eq!(golden.line_chars(), [11]);
    }
}
