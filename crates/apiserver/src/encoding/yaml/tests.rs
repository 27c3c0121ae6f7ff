use serde_json::json;

use super::read;

fn value(text: &str) -> serde_json::Value {
    read(text.as_bytes()).unwrap().value
}

fn fault(text: &str) -> String {
    read(text.as_bytes()).unwrap_err()
}

#[test]
fn words_mean_what_they_mean_in_go() {
    assert_eq!(
        value(
            "{a: yes, b: off, c: ~, d: 0777, e: 0x1F, f: 1_000, g: 1e3, h: .5, i: 0o17, j: '1', k: 1.5, l: 2018-01-01}"
        ),
        json!({"a": true, "b": false, "c": null, "d": 511, "e": 31, "f": 1000, "g": 1000, "h": 0.5, "i": 15, "j": "1",
            "k": 1.5, "l": "2018-01-01"})
    );
    assert_eq!(
        value("{a: !!str 1, b: !!float 2, c: ! 3, d: !own x, e: !!binary YQ==}"),
        json!({"a": "1", "b": 2, "c": 3, "d": "x", "e": "a"})
    );
    assert_eq!(value("{1: a, true: b, 1.5: c}"), json!({"1": "a", "true": "b", "1.5": "c"}));
    assert_eq!(value(""), json!(null));
    assert_eq!(value("# nothing\n"), json!(null));
}

#[test]
fn blocks_flows_and_scalars() {
    let text = "a:\n- 1\n-\n  - x: v\n    z: |\n      one\n        two\n\n      three\n- >-\n  folded\n  text\n\n  more\n\
                b: {c: [1, 2,], d: {}, e}\n? long key\n: \"q\\u00e9 \\\n   x\"\nc: plain\n  goes on # comment\nd:\n";
    assert_eq!(
        value(text),
        json!({"a": [1, [{"x": "v", "z": "one\n  two\n\nthree\n"}], "folded text\nmore"],
            "b": {"c": [1, 2], "d": {}, "e": null}, "long key": "q\u{e9} x", "c": "plain goes on", "d": null})
    );
    assert_eq!(value("%YAML 1.1\n--- # first\na: 'it''s'\n...\n---\nb: 2\n"), json!({"a": "it's"}));
    assert_eq!(value("[a: 1, b]"), json!([{"a": 1}, "b"]));
    assert_eq!(value("a: |+\n  x\n\nb: |2-\n   y\n"), json!({"a": "x\n\n", "b": " y"}));
    assert_eq!(value("http://x:80/a"), json!("http://x:80/a"));
}

#[test]
fn anchors_and_merges() {
    let text = "a: &a {x: 1, z: 2}\nb: {<<: *a, z: 3}\nc: {z: 3, <<: [{z: 4}, *a]}\nd: *a\n";
    let a = json!({"x": 1, "z": 2});
    // What is merged later wins over what stands before it.
    assert_eq!(value(text), json!({"a": a, "b": {"x": 1, "z": 3}, "c": {"x": 1, "z": 4}, "d": a}));
    assert_eq!(fault("a: *b"), "yaml: unknown anchor 'b' referenced");
    assert_eq!(fault("&a [*a]"), "yaml: anchor 'a' value contains itself");
    assert_eq!(fault("<<: 1"), "yaml: map merge requires map or sequence of maps as the value");
}

/// The reader's own words were given, whatever it was.
#[test]
fn refusals_are_those_of_go() {
    for (text, why) in [
        ("a: [", "line 1: did not find expected node content"),
        ("a: [1", "line 1: did not find expected ',' or ']'"),
        ("a: {b: 1", "line 1: did not find expected ',' or '}'"),
        ("a: 1\n b: 2", "line 2: mapping values are not allowed in this context"),
        ("a: b: c", "mapping values are not allowed in this context"),
        ("a: 1\nb", "line 3: could not find expected ':'"),
        ("a:\n\t- b", "line 2: found character that cannot start any token"),
        ("a: @x", "found character that cannot start any token"),
        ("a: \"x", "found unexpected end of stream"),
        ("a: \"\\q\"", "found unknown escape character"),
        ("- a\nb: c", "line 1: did not find expected '-' indicator"),
        ("a: 1\n- b", "line 1: did not find expected key"),
        (": a", "did not find expected key"),
        ("a: !x!y z", "found undefined tag handle"),
        ("a: !!int b", "cannot decode !!str `b` as a !!int"),
        ("%YAML 1.2\n---\na: 1", "found incompatible YAML document"),
        ("[a]: 1", "invalid map key: []interface {}{\"a\"}"),
        ("a: !{b: 1}", "did not find expected whitespace or line break"),
        ("a: \x01", "control characters are not allowed"),
    ] {
        assert_eq!(fault(text), format!("yaml: {why}"), "{text:?}");
    }
    // Another library says this.
    assert_eq!(fault("a: .nan"), "json: unsupported value: NaN");
}

#[test]
fn keys_that_occur_twice_are_told_by_the_line_of_their_value() {
    let document = read(b"a: 1\nb:\n  c: 1\n  c:\n  - 2\na: 3\n1: x\n1: z\n").unwrap();
    assert_eq!(document.value, json!({"a": 3, "b": {"c": [2]}, "1": "z"}));
    assert_eq!(
        document.twice,
        [
            "line 5: key \"c\" already set in map",
            "line 6: key \"a\" already set in map",
            "line 8: key 1 already set in map"
        ]
    );
}

#[test]
fn what_would_fill_the_memory_or_the_stack_is_refused() {
    let deep = "[".repeat(100_000);
    assert!(fault(&deep).contains("exceeded max depth"));
    let blocks: String = (0..2_000).map(|i| format!("{}a:\n", " ".repeat(i))).collect();
    assert!(fault(&blocks).contains("exceeded max depth"));
    let laughs: String =
        (1..12).map(|i| format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 10].join(","))).collect();
    assert_eq!(fault(&format!("a0: &a0 x\n{laughs}")), "yaml: document contains excessive aliasing");
    let chain: String = (1..2_000).map(|i| format!("a{i}: &a{i} [*a{}]\n", i - 1)).collect();
    assert!(fault(&format!("a0: &a0 x\n{chain}")).contains("exceeded max depth"));
}

/// Another reader (libyaml-safer) panicked on each of these, which would have been the end of the whole server.
#[test]
fn a_text_may_end_anywhere() {
    for text in
        ["\"\\", "\"\\x41\\", "a: |\n  ", "\u{feff}a: |+\n |2", "a':\n- 1\n|\n  - x ", "- >-\n  folded\n  te"]
    {
        let _ = read(text.as_bytes());
    }
    assert_eq!(value("a: |\n  x"), json!({"a": "x"}));
    assert_eq!(value("\u{feff}a: |+\n  x"), json!({"a": "x"}));
    assert!(read(b"\"\\").is_err());
}

/// Found by fuzzing: characters of the key were counted as bytes, which ended the server.
#[test]
fn a_key_of_several_bytes_may_stand_before_a_quoted_text() {
    let object = json!([{"": null, "😀containers": "\r: \r"}]);
    let written = super::write(&object);
    assert_eq!(value(&written), object, "{written}");
}

/// Found by fuzzing: a byte order mark was written bare, and lost at the beginning of a line.
#[test]
fn what_has_an_escape_of_its_own_is_written_so() {
    let text = "\u{feff}\u{85}\x07\x08\x0b\x0c\x1b\x01";
    let written = super::write(&json!({text: text}));
    assert_eq!(value(&written), json!({text: text}), "{written}");
    assert_eq!(super::write(&json!(text)).trim_end(), r#""\uFEFF\N\a\b\v\f\e\x01""#);
}

/// Found by fuzzing: they were written bare, and a reader takes them for line breaks.
#[test]
fn separators_of_unicode_are_written_escaped() {
    for text in ["\u{2028}/", "a\u{2029}b\nc", "\u{85}"] {
        let written = super::write(&json!({"a": text}));
        assert_eq!(value(&written), json!({"a": text}), "{written}");
    }
    assert_eq!(super::write(&json!("\u{2028}/")).trim_end(), "\"\\L/\"");
}

/// Found by fuzzing: `0B1` was written without quotes, and is the number 1 to whoever reads it.
#[test]
fn texts_that_look_like_numbers_of_a_radix_are_quoted() {
    for text in ["0B1", "0X1f", "0O7", "0b_1", "-0B1"] {
        let written = super::write(&json!(text));
        assert_eq!(super::read(written.as_bytes()).unwrap().value, json!(text), "{written}");
    }
}

/// Found by fuzzing: a tab before a break in a long text was lost. Upstream's library escapes tabs.
#[test]
fn tabs_are_escaped() {
    let long = "a".repeat(87);
    for (text, expected) in [
        ("a\tb".to_owned(), "k: \"a\\tb\"\n".to_owned()),
        ("x\ty\nz".to_owned(), "k: \"x\\ty\\nz\"\n".to_owned()),
        (format!("{long},\t *sb *c d"), format!("k: \"{long},\\t\n  *sb *c d\"\n")),
        (format!("{long} \tx y"), format!("k: \"{long}\n  \\tx y\"\n")),
        (format!("{long}, \t *sb"), format!("k: \"{long},\n  \\t *sb\"\n")),
    ] {
        let written = super::write(&json!({"k": text}));
        assert_eq!(written, expected);
        assert_eq!(super::read(written.as_bytes()).unwrap().value["k"], json!(text));
    }
}
