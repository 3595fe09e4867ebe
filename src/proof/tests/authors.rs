//! Faults of authors: each is named, with its file and line.

use super::*;

fn starter() -> Files {
    [
        ("course.yaml", include_str!("../../../assets/starter/course.yaml")),
        ("01-start/01-hello/lesson.md", include_str!("../../../assets/starter/lesson.md")),
        ("01-start/01-hello/lab.yaml", include_str!("../../../assets/starter/lab.yaml")),
    ]
    .map(|(path, text)| (path.to_owned(), text.to_owned()))
    .to_vec()
}

/// All faults of a course, as `FILE:LINE: message (help)`.
fn faults_of(files: &Files) -> Vec<String> {
    let line = |fault: &Fault| {
        let file = fault.file.rsplit('/').next().unwrap_or("");
        format!("{file}:{}: {} ({})", fault.line, fault.message, fault.help.as_deref().unwrap_or(""))
    };
    match Course::parse(files) {
        Err(faults) => faults.iter().map(line).collect(),
        Ok(course) => {
            let taught = taught_before(&course);
            let proved =
                course.lessons().zip(&taught).flat_map(|(each, taught)| lesson(each, taught, &embedded).faults);
            proved.map(|fault| line(&fault)).collect()
        }
    }
}

#[test]
fn each_planted_fault_is_named_with_its_file_and_line() {
    // What to replace by what in a copy of the starter, and what has to be said.
    let planted: &[(&str, &str, &str)] = &[
        ("format: 1", "format: 2", "course.yaml:2: this program reads format 1"),
        (
            "      - 01-start/01-hello",
            "      - 01-start/02-gone",
            "course.yaml:8: `01-start/02-gone` has no lesson.md and lab.yaml",
        ),
        ("title: Hello\n", "titel: Hello\n", "lesson.md:2: the front matter has no `titel` (did you mean `title`?)"),
        (
            "<!-- do: forget -->",
            "<!-- do: forgot -->",
            "lesson.md:19: lab.yaml has no exercise `forgot` (did you mean `forget`?)",
        ),
        ("<!-- do: forget -->", "", "lab.yaml:25: the prose never comes to the exercise `forget`"),
        (
            "    title: Say hello",
            "    titel: Say hello",
            "lab.yaml:10: an exercise has no `titel` (did you mean `title`?)",
        ),
        ("id: start.hello", "id: start.hello\nid: again", "lab.yaml:3: `id` stands here twice"),
        (
            "key: {name: greeting, equals: hello}",
            "kye: {name: greeting}",
            "lab.yaml:14: `kye` is no kind of check (did you mean `key`?)",
        ),
        (
            "key: {name: greeting, equals: hello}",
            "key: {nam: greeting}",
            "lab.yaml:14: `key` has no `nam` (did you mean `name`?)",
        ),
        (
            "equals: hello, ttl: {between: [1, 60]}",
            "ttl: {betwen: [1, 60]}",
            "lab.yaml:31: expected a number, {between: [A, B]}",
        ),
        (
            "terminals: {shop: redis}",
            "terminals: {shop: rediss}",
            "lab.yaml:7: there is no instance `rediss` (did you mean `redis`?)",
        ),
        (
            "      - {shop: [\"MSET greeting hello\"]}",
            "      - {shopp: [\"MSET greeting hello\"]}",
            "lab.yaml:24: there is no terminal `shopp` (did you mean `shop`?)",
        ),
        ("clock: \"2030-01-01T09:00:00Z\"", "clock: noon", "lab.yaml:5: `noon` is no moment"),
        ("      - \"SET takes the key and the value.\"\n", "", "lab.yaml:20: an exercise needs at least two hints"),
        (
            "title: Say hello",
            "title: Say: hello",
            "lab.yaml:10: mapping values are not allowed in this context (quote a text",
        ),
        ("id: start.hello", "id: &x start.hello", "lab.yaml:2: anchors (&) and aliases (*) are not used"),
        // From here on the course can be read, and is proved wrong.
        (
            "    task: \"Write `hello` under `greeting`.\"",
            "    setup: {shop: [\"SET greeting hello\"]}",
            "lab.yaml:9: `greet` is solved before anything was done",
        ),
        (
            "{shop: [\"MSET greeting hello\"]}",
            "{shop: [\"MSET greeting hallo\"]}",
            "lab.yaml:24: solution 2 of `greet` does not solve it when earlier",
        ),
        (
            "    setup: {shop: [\"SET greeting hello\"]}\n",
            "",
            "lab.yaml:41: solution 1 of `forget` does not solve it when earlier",
        ),
        (
            "{shop: [\"EXPIRE greeting 60\"]}",
            "{shop: [\"GET greeting\", \"EXPIRE greeting 60\"]}",
            "lab.yaml:42: solution 1 of `forget` works without `GET greeting`: the goals are too loose",
        ),
        (
            "try: {shop: [\"SET hello greeting\"]}",
            "try: {shop: [\"SET greeting hello\"]}",
            "lab.yaml:16: this wrong attempt solves `greet`",
        ),
        (
            "try: {shop: [\"SET hello greeting\"]}",
            "try: {shop: [\"SET helo greeting\"]}",
            "lab.yaml:16: this wrong attempt does not get its own message (it gets: There is no key `greeting`.)",
        ),
        ("key: {name: greeting, equals: hello}", "saw: {cmd: \"*SET greeting hello\"}", ""),
        ("\"hello\"\n```", "\"hallo\"\n```", "lesson.md:13: `GET greeting` does not print what is shown"),
        (
            "> GET greeting\n",
            "> GET greeting\n# 345678901234567890123456789012345678901234567890123456789012345678901234567890\n",
            "lesson.md:14: this line of code is 80 columns wide, 76 fit",
        ),
        (
            "teaches: [SET, GET, EXPIRE]",
            "needs: [LPUSH]\nteaches: [SET, GET, EXPIRE]",
            "lab.yaml:3: no lesson before this one teaches `LPUSH`",
        ),
        ("equals: hello, ttl: {between: [1, 60]}", "encoding: embstr, not_equals: hullo, ttl: {at_most: 60}", ""),
        (
            "      - say: \"Two minutes later it is gone.\"",
            "      - say: h\n        not: {saw: {cmd: TIME}}\n      - say: \"Two minutes later it is gone.\"",
            "too strict",
        ),
        (
            "      - say: \"Two minutes later it is gone.\"",
            "      - say: h\n        saw: {cmd: \"*\", output: \"*secret*\"}\n      - say: \"Two minutes later it is gone.\"",
            "solution 1 of `forget` does not solve it",
        ),
        (
            "    goals:\n      - say: \"`greeting` holds `hello`.\"\n        key: {name: greeting, equals: hello}",
            "    goals:\n      - say: \"x\"\n        saw: {cmd: \"MSET|SET greeting hello\", db: 0}\n      - {say: y, when: always, key: {name: greeting}}",
            "lab.yaml:15: this goal is to hold always, and does not at the start",
        ),
    ];
    let mut odd = Vec::new();
    for (old, new, expected) in planted {
        let mut files = starter();
        assert!(files.iter().any(|(_, text)| text.contains(old)), "the starter has no `{old}`");
        files.iter_mut().for_each(|(_, text)| *text = text.replacen(old, new, 1));
        let faults = faults_of(&files);
        let fine =
            if expected.is_empty() { faults.is_empty() } else { faults.iter().any(|fault| fault.contains(expected)) };
        if !fine {
            odd.push(format!("{new}\n  expected {expected:?}\n  found {faults:#?}"));
        }
    }
    assert!(odd.is_empty(), "{}", odd.join("\n"));
}

#[test]
fn a_literal_that_nobody_can_read_is_a_fault() {
    let goals = "    goals: [{say: Do it., key: {name: secret, equals: word}}]\n    hints: [a, b]\n    wrong: [{when: {key: {name: other}}, try: {shop: [\"SET other 1\"]}, say: no}]\n    solutions: [{shop: [\"SET secret word\"]}]\n";
    let faults = faults_of(&course_of(goals));
    assert!(
        faults.iter().any(|fault| fault.contains("this goal tests `secret`, which the learner never reads")),
        "{faults:?}"
    );
}

#[test]
fn all_faults_of_a_course_are_told_at_once() {
    let mut files = starter();
    files[1].1 = files[1].1.replace("do: greet", "do: gret");
    files[2].1 = files[2].1.replace("title: Say hello", "titel: x").replace("equals: hello, ttl", "equal: hello, ttl");
    assert!(faults_of(&files).len() >= 4, "{:?}", faults_of(&files));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_lessons_never_panic(
        file in 0usize..3, at in 0.0f64..1.0, cut in 0usize..40, insert in "[\\PC\\n\\t{}\\[\\]&*|>'\"#:\u{1b}-]{0,12}"
    ) {
        let mut files = starter();
        let text = &mut files[file].1;
        let mut start = (text.len() as f64 * at) as usize;
        while !text.is_char_boundary(start) { start -= 1; }
        let mut end = (start + cut).min(text.len());
        while !text.is_char_boundary(end) { end += 1; }
        text.replace_range(start..end, &insert);
        if let Err(faults) = Course::parse(&files) {
            prop_assert!(!faults.is_empty());
            let handler = miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode_nocolor());
            for fault in &faults {
                let mut out = String::new();
                handler.render_report(&mut out, fault).unwrap();
            }
        }
    }

    #[test]
    fn any_text_as_yaml_or_markdown_never_panics(text in "[\\PC\\n\\t ]{0,200}") {
        let mut files = starter();
        files[1].1 = format!("---\ntitle: x\n---\n{text}");
        files[2].1 = text;
        let _ = Course::parse(&files);
    }
}
