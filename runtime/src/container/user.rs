//! The user a container runs as, looked up in the image's own files.

use super::root::{Root, text};

/// Numbers and home directory of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
    pub home: String,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("user `{0}`: the image's /etc/passwd has none of that name")]
    NoUser(String),
    #[error("group `{0}`: the image's /etc/group has none of that name")]
    NoGroup(String),
    #[error(transparent)]
    Root(#[from] super::root::Error),
}

/// Finds who `user` is: `name`, `uid`, `name:group`, `uid:gid` or nothing for root, as image-spec `config.md` has it.
pub(crate) fn look_up(root: &Root, user: &str) -> Result<User, Error> {
    let passwd = text(root.read("etc/passwd")?);
    let groups = text(root.read("etc/group")?);
    find(user, &passwd, &groups)
}

fn find(user: &str, passwd: &str, groups: &str) -> Result<User, Error> {
    let (name, group) = match user.split_once(':') {
        Some((name, group)) => (name, Some(group).filter(|group| !group.is_empty())),
        None => (user, None),
    };
    let name = if name.is_empty() { "0" } else { name };
    let number = id(name);
    let entry = entries(passwd).find(|fields| match number {
        Some(uid) => field(fields, 2) == uid.to_string(),
        None => field(fields, 0) == name,
    });
    let Some(uid) = number.or_else(|| id(field(entry.as_ref()?, 2))) else { return Err(Error::NoUser(name.to_owned())) };
    let own = entry.as_ref().and_then(|fields| id(field(fields, 3))).unwrap_or(0);
    let home = entry.as_ref().map(|fields| field(fields, 5)).filter(|home| !home.is_empty());
    let home = home.unwrap_or(if uid == 0 { "/root" } else { "/" }).to_owned();
    let gid = match group {
        None => own,
        Some(group) => group_id(group, groups)?,
    };
    // A group that is named stands for all of them.
    let member = entry.as_ref().map(|fields| field(fields, 0)).filter(|_| group.is_none());
    let groups = member.map_or(vec![], |member| memberships(member, groups, gid));
    Ok(User { uid, gid, groups, home })
}

fn group_id(group: &str, groups: &str) -> Result<u32, Error> {
    let by_name = || entries(groups).find(|fields| field(fields, 0) == group).and_then(|fields| id(field(&fields, 2)));
    id(group).or_else(by_name).ok_or_else(|| Error::NoGroup(group.to_owned()))
}

fn memberships(member: &str, groups: &str, own: u32) -> Vec<u32> {
    let joined = entries(groups).filter(|fields| field(fields, 3).split(',').any(|name| name == member));
    let mut ids: Vec<u32> = joined.filter_map(|fields| id(field(&fields, 2))).filter(|gid| *gid != own).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Reads a user's or group's number. The highest one means "unchanged" to the kernel, so nobody has it.
fn id(text: &str) -> Option<u32> {
    text.parse().ok().filter(|id| *id != u32::MAX)
}

fn entries(file: &str) -> impl Iterator<Item = Vec<&str>> {
    file.lines().map(|line| line.trim().split(':').collect())
}

fn field<'a>(fields: &[&'a str], index: usize) -> &'a str {
    fields.get(index).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nweb:x:33:33::/var/www:/bin/false\nbroken\nodd:x:abc:1::/:\n";
    const GROUP: &str = "root:x:0:\nadm:x:4:web,root\nwww:x:33:web\nextra:x:50:nobody,web\n";

    fn check(user: &str, expected: (u32, u32, &[u32], &str)) {
        let found = find(user, PASSWD, GROUP).unwrap();
        assert_eq!((found.uid, found.gid, found.groups.as_slice(), found.home.as_str()), expected, "{user}");
    }

    #[test]
    fn users_are_found_by_name_and_number() {
        check("", (0, 0, &[4], "/root"));
        check("root", (0, 0, &[4], "/root"));
        check("web", (33, 33, &[4, 50], "/var/www"));
        check("33", (33, 33, &[4, 50], "/var/www"));
        check("web:adm", (33, 4, &[], "/var/www"));
        check("1000", (1000, 0, &[], "/"));
        check("1000:1001", (1000, 1001, &[], "/"));
        check("1000:www", (1000, 33, &[], "/"));
    }

    #[test]
    fn an_image_without_the_files_still_has_numbers() {
        assert_eq!(find("", "", "").unwrap(), User { uid: 0, gid: 0, groups: vec![], home: "/root".to_owned() });
        assert_eq!(find("7:8", "", "").unwrap().gid, 8);
    }

    #[test]
    fn unknown_names_are_refused() {
        for user in ["nobody", "odd", "-1", "web:none", "4294967296", "4294967295", "web:4294967295"] {
            assert!(find(user, PASSWD, GROUP).is_err(), "{user}");
        }
    }
}
