use expect_test::{Expect, expect};

use super::*;

const SHOP: &str = "version: v1\ndeployment: shop\nservices:\n  web:\n    imgae: {name: nginx}\n    endpoints:\n      - name: http\n        port: 80\n";

fn at(line: u64, column: u64, width: u64) -> Place {
    Place { file: String::new(), line, column, end_line: line, end_column: column + width }
}

fn within(file: &str, mut place: Place) -> Place {
    place.file = file.to_owned();
    place
}

fn check(problems: &[Problem], sources: &[(&str, &str)], expected: &Expect) {
    let sources: Vec<_> = sources.iter().map(|(name, text)| Source { name, text }).collect();
    expected.assert_eq(&render(problems, &sources, false));
}

fn related(path: &str, place: Place, message: &str) -> Related {
    Related { path: path.to_owned(), place, message: message.to_owned() }
}

#[test]
fn a_problem_shows_its_line_and_the_way_out() {
    let problem = Problem::at("services.web.imgae", "`imgae` is no field of `service`").code(Code::UnknownField);
    let problem =
        Problem { place: within("shop.yaml", at(5, 5, 5)), ..problem }.label("it is not known").fix("did you mean `image`?");
    check(
        &[problem],
        &[("shop.yaml", SHOP)],
        &expect![[r#"
        error[unknown_field]: `imgae` is no field of `service`
         --> shop.yaml:5:5
          |
        5 |     imgae: {name: nginx}
          |     ^^^^^ it is not known
          |
          = help: did you mean `image`?
    "#]],
    );
}

#[test]
fn problems_stand_apart_and_warnings_say_so() {
    let one = Problem { place: at(2, 13, 4), ..Problem::at("deployment", "one") };
    let two = Problem { place: at(8, 15, 2), ..Problem::at("services.web", "two").warning().code(Code::Suspicious) };
    check(
        &[one, two],
        &[("shop.yaml", SHOP)],
        &expect![[r#"
        error: one
         --> shop.yaml:2:13
          |
        2 | deployment: shop
          |             ^^^^

        warning[suspicious]: two
         --> shop.yaml:8:15
          |
        8 |         port: 80
          |               ^^
    "#]],
    );
}

#[test]
fn related_places_are_shown_in_their_files() {
    let mut problem = Problem { place: within("b.yaml", at(8, 15, 2)), ..Problem::at("", "port 80 is taken").code(Code::Clash) };
    problem.related = vec![
        related("a", within("b.yaml", at(2, 13, 4)), "of this deployment"),
        related("b", within("a.yaml", at(1, 10, 2)), "the first one is here"),
        related("services.web.endpoints[0]", Place::default(), "another one runs"),
    ];
    check(
        &[problem.fix("take another one")],
        &[("a.yaml", "version: v1\n"), ("b.yaml", SHOP)],
        &expect![[r#"
        error[clash]: port 80 is taken
         --> b.yaml:8:15
          |
        2 | deployment: shop
          |             ---- of this deployment
        ...
        8 |         port: 80
          |               ^^
          |
         ::: a.yaml:1:10
          |
        1 | version: v1
          |          -- the first one is here
          |
          = note: another one runs (services.web.endpoints[0])
          = help: take another one
    "#]],
    );
}

#[test]
fn a_problem_without_text_names_its_path() {
    let first = Problem::at("services.web.scale", "`max` is less than `min`")
        .code(Code::Contradiction)
        .label("expected more")
        .fix("turn them round");
    let second = Problem { place: within("shop.yaml", Place::default()), ..Problem::at("services.web", "it is not known") };
    let third = Problem { place: within("gone.yaml", at(3, 7, 1)), ..Problem::at("services.web", "the text is not here") };
    check(
        &[first, second, third, Problem::at("", "all of it")],
        &[],
        &expect![[r#"
        error[contradiction]: `max` is less than `min`
        --> services.web.scale
         = note: expected more
         = help: turn them round

        error: it is not known
        --> shop.yaml: services.web

        error: the text is not here
        --> gone.yaml:3:7

        error: all of it
    "#]],
    );
}

#[test]
fn places_that_are_not_there_are_shown_nearby() {
    let problem = |place| Problem { place, ..Problem::at("", "there is nothing here") };
    check(
        &[problem(at(1, 1, 0))],
        &[("empty.yaml", "")],
        &expect![[r#"
        error: there is nothing here
         --> empty.yaml:1:1
          |
        1 |
          | ^
    "#]],
    );
    let beyond = [problem(at(1, 90, 5)), problem(at(90, 1, 1)), problem(Place { end_line: 3, ..at(2, 4, 0) })];
    check(
        &beyond,
        &[("short.yaml", "a: 1\r\nb: {\n}")],
        &expect![[r#"
        error: there is nothing here
         --> short.yaml:1:5
          |
        1 | a: 1
          |     ^

        error: there is nothing here
         --> short.yaml:3:2
          |
        3 | }
          |  ^

        error: there is nothing here
         --> short.yaml:2:4
          |
        2 | b: {
          |    ^
    "#]],
    );
}

#[test]
fn tabs_and_wide_characters_keep_the_caret_in_place() {
    let problem = |line, column, width| Problem { place: at(line, column, width), ..Problem::at("", "here") };
    check(
        &[problem(1, 5, 2), problem(2, 7, 1)],
        &[("a.yaml", "\ta: xx\n名前: 値 e\u{301}\n")],
        &expect![[r#"
        error: here
         --> a.yaml:1:5
          |
        1 |     a: xx
          |        ^^

        error: here
         --> a.yaml:2:7
          |
        2 | 名前: 値 é
          |          ^
    "#]],
    );
}

#[test]
fn nothing_in_a_file_or_a_message_steers_the_terminal() {
    let text = "a: \u{1b}[31m \u{9b}2J \u{202e}x\u{7} y\n";
    let problem = Problem { place: within("\u{1b}c.yaml", at(1, 19, 1)), ..Problem::at("", "no \u{1b}]0;x\u{7}\nerror: more") };
    let problem = problem.label("\u{1b}[2J").fix("\u{9b}31m\nhelp: none");
    check(
        std::slice::from_ref(&problem),
        &[("\u{1b}c.yaml", text)],
        &expect![[r#"
        error: no ␛]0;x␇␊error: more
         --> ␛c.yaml:1:19
          |
        1 | a: ␛[31m �2J �x␇ y
          |                   ^ ␛[2J
          |
          = help: �31m␊help: none
    "#]],
    );
    let sources = [Source { name: "\u{1b}c.yaml", text }];
    let coloured = render(&[problem], &sources, true);
    let is_colour =
        |part: &str| part.starts_with('[') && part.trim_start_matches(|c: char| "[;0123456789".contains(c)).starts_with('m');
    assert!(coloured.contains('\u{1b}') && coloured.split('\u{1b}').skip(1).all(is_colour), "{coloured:?}");
}

#[test]
fn long_lines_are_cut_around_the_place() {
    let text = format!("a: [{}, wrong, {}]\n", "x".repeat(500), "y".repeat(500));
    let column = text.find("wrong").unwrap() as u64 + 1;
    let problem = |place| Problem { place, ..Problem::at("", "here") };
    check(
        &[problem(at(1, column, 5)), problem(at(1, 4, 1000)), problem(at(1, 1019, 1))],
        &[("a.yaml", &text)],
        &expect![[r#"
        error: here
         --> a.yaml:1:507
          |
        1 | ...xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx, wrong, yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy...
          |                                                             ^^^^^

        error: here
         --> a.yaml:1:4
          |
        1 | a: [xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy...
          |    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^...^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

        error: here
         --> a.yaml:1:1015
          |
        1 | ...yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy]
          |                                                               ^
    "#]],
    );
}

#[test]
fn of_a_line_without_end_only_the_place_is_said() {
    let text = format!("a: 1\n[{}]\n", "x, ".repeat(10_000));
    let mut problem = Problem { place: at(2, 20_001, 1), ..Problem::at("", "here") };
    problem.related = vec![related("", at(1, 4, 1), "the first one is here"), related("", at(2, 5, 1), "and another")];
    check(
        &[problem],
        &[("a.yaml", &text)],
        &expect![[r#"
            error: here
             --> a.yaml:2:20001
              |
             ::: a.yaml:1:4
              |
            1 | a: 1
              |    - the first one is here
              |
              = note: and another (a.yaml:2:5)
        "#]],
    );
}

#[test]
fn any_place_in_any_text_can_be_shown() {
    let texts = ["", "\n", "a", "a\n\n\tb: é\n", "\u{feff}名\r\n\r\n"];
    let numbers = [0, 1, 2, 3, 5, u64::MAX];
    for text in texts {
        for (line, column) in numbers.iter().flat_map(|line| numbers.map(|column| (*line, column))) {
            for (end_line, end_column) in numbers.iter().flat_map(|line| numbers.map(|column| (*line, column))) {
                let place = Place { file: "a".to_owned(), line, column, end_line, end_column };
                let mut problem = Problem { place, ..Problem::at("", "shown") };
                problem.related = vec![related("", within("a", at(2, 1, 1)), "beside")];
                assert!(render(&[problem], &[Source { name: "a", text }], false).starts_with("error: shown\n"));
            }
        }
    }
}

#[test]
fn a_summary_counts_errors_and_warnings() {
    let (error, warning) = (Problem::at("", ""), Problem::at("", "").warning());
    for (problems, expected) in [
        (vec![], "no problems"),
        (vec![error.clone()], "1 error"),
        (vec![warning.clone(), error.clone(), error], "2 errors, 1 warning"),
        (vec![warning.clone(), warning], "2 warnings"),
    ] {
        assert_eq!(summary(&problems), expected);
    }
}
