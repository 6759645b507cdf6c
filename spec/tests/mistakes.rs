//! What people are told who made a mistake: a table of manifests, each with all that is said of it, to be read as a user would.
//!
//! Each file in `mistakes/` is one group. A case is a title, one or several files and what is said; what is said is written anew
//! with `UPDATE_EXPECT=1`. To add a case, add its title and its text.

use expect_test::{ExpectFile, expect_file};
use spec::manifest::{Source, check_all};
use spec::problem::{Code, Problem, render, summary};

/// Before the title of a case.
const TITLE: &str = "######## ";
/// Between a case's files and what is said of them.
const SAID: &str = ">>>>>>>>\n";
/// Before the name of a file, where there are several.
const FILE: &str = "++++++++ ";
/// Name of the file, where there is one.
const NAME: &str = "shop.yaml";

struct Case<'a> {
    title: &'a str,
    /// As it stands in the table.
    text: &'a str,
}

fn cases(table: &str) -> Vec<Case<'_>> {
    let cases = table.split(TITLE).skip(1).map(|case| case.split_once('\n').unwrap());
    cases.map(|(title, rest)| Case { title, text: rest.split(SAID).next().unwrap() }).collect()
}

impl<'a> Case<'a> {
    fn sources(&self) -> Vec<Source<'a>> {
        if !self.text.starts_with(FILE) {
            return vec![Source { name: NAME, text: self.text }];
        }
        let files = self.text.split(FILE).skip(1).map(|file| file.split_once('\n').unwrap());
        files.map(|(name, text)| Source { name, text }).collect()
    }

    fn problems(&self) -> Vec<Problem> {
        check_all(&self.sources(), &[]).into_iter().flat_map(|checked| checked.problems).collect()
    }

    /// Returns what is said, but for what this version cannot run, unless that is what it is about.
    fn said(&self, unbuilt: bool) -> String {
        let mut problems = self.problems();
        problems.retain(|problem| unbuilt || problem.code != Code::Unbuilt);
        format!("{}\n{}\n", render(&problems, &self.sources(), false), summary(&problems))
    }
}

fn check(table: &str, file: &ExpectFile, unbuilt: bool) {
    let table = table.replace("\r\n", "\n");
    let said =
        cases(&table).into_iter().map(|case| format!("{TITLE}{}\n{}{SAID}{}\n", case.title, case.text, case.said(unbuilt)));
    file.assert_eq(&said.collect::<String>());
}

/// A test for each group, and all of their files.
macro_rules! groups {
    ($($test:ident $file:literal $unbuilt:literal,)*) => {
        $(
            #[test]
            fn $test() {
                check(include_str!(concat!("mistakes/", $file, ".txt")), &expect_file![concat!("mistakes/", $file, ".txt")], $unbuilt);
            }
        )*

        const TABLES: &[&str] = &[$(include_str!(concat!("mistakes/", $file, ".txt"))),*];
    };
}

groups! {
    texts_that_are_no_yaml "syntax" false,
    values_of_a_wrong_type "types" false,
    fields_that_there_are_not "fields" false,
    fields_that_are_missing "missing" false,
    values_that_are_none "values" false,
    names_that_are_none "names" false,
    dependencies_that_cannot_be "depends" false,
    endpoints_that_cannot_be "endpoints" false,
    kinds_of_services_that_do_not_go_together "rtype" false,
    scaling_that_cannot_be "scale" false,
    health_checks_that_cannot_pass "health" false,
    init_steps_that_cannot_end "init" false,
    volumes_and_rollouts_that_cannot_be "volumes" false,
    limits_of_one_deployment "limits" false,
    doubts "doubts" false,
    several_files_at_once "files" false,
    many_mistakes_at_once "many" false,
    what_is_not_built_yet "unbuilt" true,
}

#[test]
fn each_mistake_is_told_of_once_and_by_its_kind() {
    for case in TABLES.iter().flat_map(|table| cases(table)) {
        let problems = case.problems();
        assert!(!problems.is_empty(), "{}: nothing is said", case.title);
        let built: Vec<_> = problems.iter().filter(|problem| problem.code != Code::Unbuilt).collect();
        for (index, problem) in built.iter().enumerate() {
            let again = |other: &&Problem| other.place == problem.place && other.code == problem.code;
            assert!(problem.code != Code::Other, "{}: {problem}", case.title);
            assert!(!built[..index].iter().any(again), "{}: {problem}", case.title);
        }
    }
}

#[test]
fn the_table_is_long_and_no_case_is_there_twice() {
    let cases: Vec<_> = TABLES.iter().flat_map(|table| cases(table)).collect();
    assert!(cases.len() >= 170, "there are {}", cases.len());
    let mut texts: Vec<_> = cases.iter().flat_map(|case| [case.title, case.text]).collect();
    texts.sort_unstable();
    assert!(texts.windows(2).all(|pair| pair[0] != pair[1]));
}
