//! What the tree holds, and what never becomes a tree.

use super::*;

/// The tree in one line, or the code of the first problem with its place.
fn show(text: &str) -> String {
    let mut problems = Problems::new("t");
    let root = parse(text, &mut problems);
    match (problems.refused(), root) {
        (Some(refused), _) => {
            let first = &refused.problems[0];
            let mark = first.mark.expect("mark");
            format!("{} {}:{}", first.fault.code, mark.line, mark.column)
        }
        (None, Some(root)) => line(&root),
        (None, None) => "nothing".into(),
    }
}

fn line(node: &Node) -> String {
    match &node.value {
        Value::Scalar(scalar) if scalar.kind() == Kind::Text => format!("{:?}", scalar.text),
        Value::Scalar(scalar) => format!("{}({:?})", scalar.text, scalar.kind()),
        Value::List(items) => format!("[{}]", items.iter().map(line).collect::<Vec<_>>().join(",")),
        Value::Map(entries) => {
            format!("{{{}}}", entries.iter().map(|e| format!("{}:{}", e.key, line(&e.node))).collect::<Vec<_>>().join(","))
        }
    }
}

#[test]
fn trees() {
    for (text, tree) in [
        ("a: 1\nb: [x, 'y', \"z\"]", "{a:1(Int),b:[\"x\",\"y\",\"z\"]}"),
        ("\u{FEFF}a: é", "{a:\"é\"}"),
        ("a: |\n  x\n  y\n", "{a:\"x\\ny\\n\"}"),
        ("a: &x {p: 1}\nb: *x", "{a:{p:1(Int)},b:{p:1(Int)}}"),
        ("a: &x {p: 1, q: 2}\nb: {<<: *x, q: 3}", "{a:{p:1(Int),q:2(Int)},b:{q:3(Int),p:1(Int)}}"),
        ("- &x {p: 1}\n- &y {p: 2, r: 4}\n- {<<: [*x, *y]}", "[{p:1(Int)},{p:2(Int),r:4(Int)},{p:1(Int),r:4(Int)}]"),
        ("{'<<': 1}", "{<<:1(Int)}"),
        ("%YAML 1.2\n---\na: b\n...\n", "{a:\"b\"}"),
        ("1e400", "1e400(Float)"),
        ("{\"a\":[true,null]}", "{a:[true(Flag),null(Null)]}"),
    ] {
        assert_eq!(show(text), tree, "{text:?}");
    }
}

#[test]
fn refusals_with_place() {
    for (text, problem) in [
        ("", "manifest-empty 1:1"),
        ("# nothing\n", "manifest-empty 1:1"),
        ("a: 1\na: 2", "manifest-duplicate-key 2:1"),
        ("a: 1\n\"a\": 2", "manifest-duplicate-key 2:1"),
        ("a: {b: 1, c: 2, b: 3}", "manifest-duplicate-key 1:17"),
        ("a: !!str 5", "manifest-tag 1:4"),
        ("a: 1\n---\nb: 2", "manifest-second-document 2:1"),
        ("a: \0b", "manifest-control-character 1:4"),
        ("é: é\nb: \u{1}", "manifest-control-character 2:4"),
        ("a: b\u{FEFF}", "manifest-control-character 1:5"),
        ("? [a]\n: 1", "manifest-key-not-text 1:3"),
        ("~: 1", "manifest-key-not-text 1:1"),
        ("a: &a [*a]", "manifest-alias-loop 1:8"),
        ("<<: 5", "manifest-bad-merge 1:5"),
        ("a: [", "manifest-syntax 2:1"),
        ("a: b: c", "manifest-syntax 1:5"),
        ("a: *nowhere", "manifest-syntax 1:4"),
        ("a:\n\tb: c", "manifest-syntax 2:2"),
    ] {
        let shown = show(text);
        assert_eq!(shown, problem, "{text:?}");
    }
}

#[test]
fn bombs_end_at_their_budget() {
    let mut laughs = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for n in 1..20 {
        let last = format!("*a{}", n - 1);
        laughs += &format!("a{n}: &a{n} [{}]\n", [last.as_str(); 10].join(","));
    }
    assert!(show(&laughs).starts_with("manifest-too-much"), "{}", show(&laughs));

    let long = format!("a: &a \"{}\"\nb: [{}]", "x".repeat(TEXT_MAX / 2), ["*a"; 1000].join(","));
    assert!(show(&long).starts_with("manifest-too-much"));

    let mut tower = String::from("a0: &a0 [x]\n");
    for n in 1..80 {
        tower += &format!("a{n}: &a{n} [*a{}]\n", n - 1);
    }
    assert!(show(&tower).starts_with("manifest-too-deep"));
}

#[test]
fn depth_and_size_end_early() {
    let begin = std::time::Instant::now();
    for text in
        ["[".repeat(100_000), "{a: ".repeat(100_000), "- ".repeat(100_000), "? ".repeat(100_000), "- [".repeat(100_000), {
            (0..1000).map(|n| format!("{}a:\n", " ".repeat(n))).collect()
        }]
    {
        let shown = show(&text);
        assert!(shown.starts_with("manifest-too-deep") || shown.starts_with("manifest-syntax"), "{shown}");
    }
    assert!(show(&"x".repeat(TEXT_MAX + 1)).starts_with("manifest-too-large"));
    assert!(show(&"x".repeat(TEXT_MAX)).starts_with('"'));
    assert!(show(&format!("\"{}\"", "x".repeat(TEXT_MAX - 2))).starts_with('"'));
    assert!(show(&"a\n".repeat(TEXT_MAX / 2)).starts_with('"'));
    assert!(show(&"- a\n".repeat(TEXT_MAX / 4)).starts_with("manifest-too-much"));
    assert!(show(&(0..20_000).map(|n| format!("k{n}: 1\n")).collect::<String>()).starts_with('{'));
    assert!(show(&"&a ".repeat(TEXT_MAX / 3)).starts_with("manifest-"));
    assert!(begin.elapsed() < std::time::Duration::from_secs(20), "{:?}", begin.elapsed());
}
