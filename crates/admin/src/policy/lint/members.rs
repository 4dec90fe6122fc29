//! Members that the configuration puts into groups, and that nobody is.

use portpass_authority::{
    accounts::Listing,
    groups::{Groups, Membership},
};

use super::{LintFinding, Severity, are_all_listed};

/// Those that none of the accounts is, as far as the sources that could have one list theirs.
pub(super) fn absent(groups: &Groups, listings: &[Listing]) -> Vec<LintFinding> {
    let absent = groups.iter().filter(|membership| {
        let may_have_it = |listing: &&Listing| membership.member.may_be_of(&listing.source);
        let mut listings = listings.iter().filter(may_have_it);
        listings.all(|listing| {
            let includes = |account| membership.member.includes(account);
            are_all_listed(listing)
                && !listing.accounts.iter().flatten().any(|listed| includes(&listed.account))
        })
    });
    let finding = |membership: &Membership| {
        let is_in = format!("`{}` is in `{}`", membership.member, membership.group);
        let (id, problem) = if membership.member.is_group() {
            ("no-member", format!("{is_in}, and nobody is in it"))
        } else {
            ("no-account", format!("{is_in} and does not exist"))
        };
        LintFinding {
            id,
            severity: Severity::Warning,
            rule: None,
            text: None,
            problem,
            advice: "correct the name in `token_service.groups`, or remove it".to_owned(),
        }
    };
    absent.map(finding).collect()
}
