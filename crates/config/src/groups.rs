//! `token_service.groups`: groups of accounts of any source.

use std::collections::{BTreeMap, BTreeSet};

use portpass_authority::{
    groups::{Groups, Member, Membership},
    subject::{Group, SourceName},
};

use super::{ConfigError, Files, Located, Location, accounts::AccountSource, error::nearest};

/// `developers: [ann, "htpasswd/bob"]`
pub(crate) type GroupsSection = BTreeMap<String, Located<Vec<Located<String>>>>;

/// Understands all members, or says which can be nobody.
pub(crate) fn build(
    typed: Option<GroupsSection>,
    accounts: &[AccountSource],
    files: &Files,
) -> Result<Groups, ConfigError> {
    let mut memberships = Vec::new();
    for (name, Located { value: members, place }) in typed.unwrap_or_default() {
        let group: Group = name.parse().map_err(|problem| {
            files.error(&place, KEY, format!("{name:?} cannot be a group: {problem}"))
        })?;
        let key = format!("{KEY}.{name}");
        if members.is_empty() {
            let error =
                files.error(&place, &key, "the list is empty: nobody would be in the group");
            return Err(
                error.hint("name members, as in `[ann, \"htpasswd/bob\"]`, or leave it out")
            );
        }
        for member in members {
            let member = read(&member, accounts, &key, files)?;
            memberships.push(Membership { group: group.clone(), member });
        }
    }
    Ok(memberships.into_iter().collect())
}

fn read(
    typed: &Located<String>,
    accounts: &[AccountSource],
    key: &str,
    files: &Files,
) -> Result<Member, ConfigError> {
    let error = |message: String| files.error(&typed.place, key, message);
    let text = &typed.value;
    let member: Member = text.parse().map_err(|why| error(format!("{text:?}: {why}")))?;
    let Some(source) = member.source() else { return Ok(member) };
    let Some(known) = accounts.iter().find(|known| known.name() == *source) else {
        let names: Vec<SourceName> = accounts.iter().map(AccountSource::name).collect();
        let names: Vec<&str> = names.iter().map(SourceName::as_str).collect();
        let error = error(format!(
            "{text:?}: there is no source of accounts called `{source}`; configured are: {}",
            names.join(", ")
        ));
        return Err(match nearest(source.as_str(), names) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None if *source == SourceName::robot() => error.hint("a robot is `robot:NAME`"),
            None => error,
        });
    };
    if member.is_group() && known.groups().is_some_and(|groups| groups.is_empty()) {
        let error = error(format!("{text:?}: accounts of `{source}` have no groups of their own"));
        return Err(error.hint(format!("name the accounts, as in `{source}/ann`")));
    }
    Ok(member)
}

/// The groups that accounts can be in, of those sources of which it is known.
pub(crate) fn known(
    groups: &Groups,
    accounts: &[AccountSource],
) -> BTreeMap<SourceName, BTreeSet<Group>> {
    let of_source = |source: &AccountSource| {
        let (name, mut all) = (source.name(), source.groups()?);
        all.append(&mut groups.of(&name));
        Some((name, all))
    };
    let robots = (SourceName::robot(), groups.of(&SourceName::robot()));
    accounts.iter().filter_map(of_source).chain([robots]).collect()
}

/// What a variable gives has no lines.
pub(crate) fn placed(mut groups: GroupsSection, place: &Location) -> GroupsSection {
    for members in groups.values_mut() {
        members.place = place.clone();
        members.value.iter_mut().for_each(|member| member.place = place.clone());
    }
    groups
}

const KEY: &str = "token_service.groups";
