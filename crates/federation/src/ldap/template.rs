//! Filters and names with places for what a login brings. What is put in is escaped, always.

use ldap3::{dn_escape, ldap_escape, parse_filter};

use super::Dn;

/// A filter with `${account}`, and `${dn}` where it looks for groups (RFC 4515).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterTemplate(String);

impl FilterTemplate {
    /// For finding accounts: has `${account}`, and not `${dn}`.
    pub fn of_accounts(text: &str) -> Result<Self, TemplateError> {
        if text.contains(DN) {
            return Err(TemplateError::Unexpected { placeholder: DN });
        }
        if !text.contains(ACCOUNT) {
            return Err(TemplateError::Missing { placeholder: ACCOUNT });
        }
        Self::parse(text)
    }

    /// For finding groups: has `${dn}` or `${account}`.
    pub fn of_groups(text: &str) -> Result<Self, TemplateError> {
        if !text.contains(ACCOUNT) && !text.contains(DN) {
            return Err(TemplateError::Missing { placeholder: DN });
        }
        Self::parse(text)
    }

    fn parse(text: &str) -> Result<Self, TemplateError> {
        refuse_others(text, &[ACCOUNT, DN])?;
        // The library takes a bare comparison too, which cannot stand inside of another filter.
        if !text.starts_with('(') || !text.ends_with(')') {
            return Err(TemplateError::Syntax);
        }
        // `:=`, `>=` and the like with `*` in their value mean something else, or nothing.
        for (position, _) in text.match_indices(ACCOUNT) {
            let before = text[..position].rsplit('(').next().unwrap_or_default();
            let (attribute, _) = before.split_once('=').ok_or(TemplateError::Position)?;
            if attribute.ends_with([':', '>', '<', '~']) || attribute.is_empty() {
                return Err(TemplateError::Position);
            }
        }
        let template = Self(text.to_owned());
        for filter in
            [template.for_account("a"), template.for_any(), template.for_member("a", "cn=a")]
        {
            parse_filter(&filter).map_err(|()| TemplateError::Syntax)?;
        }
        Ok(template)
    }

    /// The filter for one account.
    pub fn for_account(&self, account: &str) -> String {
        self.0.replace(ACCOUNT, &ldap_escape(account))
    }

    /// The filter for all accounts that some name would find.
    pub fn for_any(&self) -> String {
        self.0.replace(ACCOUNT, "*")
    }

    /// The filter for the groups of one member.
    pub fn for_member(&self, account: &str, dn: &str) -> String {
        // In one pass: what is put in first is not looked at again.
        let mut filter = String::new();
        let mut rest = self.0.as_str();
        while let Some(start) = rest.find("${") {
            filter.push_str(&rest[..start]);
            let (value, length) = if rest[start..].starts_with(DN) {
                (ldap_escape(dn), DN.len())
            } else {
                (ldap_escape(account), ACCOUNT.len())
            };
            filter.push_str(&value);
            rest = &rest[start + length..];
        }
        filter + rest
    }

    /// Whether groups of groups can be found with it.
    pub fn names_members(&self) -> bool {
        self.0.contains(DN)
    }

    /// The attribute that the first `(attribute=${account})` compares: what the account is called.
    pub fn attribute(&self) -> Option<&str> {
        let end = self.0.find("=${account})")?;
        let attribute = self.0[..end].rsplit('(').next()?;
        (!attribute.is_empty()).then_some(attribute)
    }
}

/// What a password is presented for: a distinguished name with `${account}`, or what else the directory
/// takes as a name, as `${account}@example.org` of Active Directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameTemplate(String);

impl NameTemplate {
    /// Has `${account}`.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        refuse_others(text, &[ACCOUNT])?;
        if !text.contains(ACCOUNT) {
            return Err(TemplateError::Missing { placeholder: ACCOUNT });
        }
        if text.contains('=') && Dn::parse(&text.replace(ACCOUNT, "a")).is_none() {
            return Err(TemplateError::Name);
        }
        Ok(Self(text.to_owned()))
    }

    /// Whether it makes distinguished names, which can be read as entries.
    pub fn is_dn(&self) -> bool {
        self.0.contains('=')
    }

    /// The name for one account.
    pub fn fill(&self, account: &str) -> String {
        if self.is_dn() {
            self.0.replace(ACCOUNT, &dn_escape(account))
        } else {
            self.0.replace(ACCOUNT, account)
        }
    }
}

fn refuse_others(text: &str, known: &[&str]) -> Result<(), TemplateError> {
    for (position, _) in text.match_indices("${") {
        if !known.iter().any(|placeholder| text[position..].starts_with(placeholder)) {
            let name: String = text[position..].chars().take(32).collect();
            return Err(TemplateError::Unknown { name });
        }
    }
    Ok(())
}

/// Why a text is no filter or name for logins.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// It is not about anybody.
    #[error("there is no `{placeholder}` in it: it would be the same for every login")]
    Missing {
        /// What is to be in it.
        placeholder: &'static str,
    },
    /// It has what is only for groups.
    #[error("`{placeholder}` is for filters of groups")]
    Unexpected {
        /// What is not to be in it.
        placeholder: &'static str,
    },
    /// It has a placeholder of somebody else.
    #[error(
        "it has a placeholder that is not known, at `{name}`: `${{account}}` and `${{dn}}` are"
    )]
    Unknown {
        /// From there on.
        name: String,
    },
    /// An account is looked for in another way than by a value.
    #[error("`${{account}}` is the value of a comparison with `=`, as in `(uid=${{account}})`")]
    Position,
    /// It is no filter.
    #[error(
        "it is no LDAP filter (RFC 4515): each comparison stands in parentheses, as in `(&(objectClass=person)(uid=${{account}}))`"
    )]
    Syntax,
    /// It is no name.
    #[error("it is no distinguished name, as `uid=${{account}},ou=people,dc=example,dc=org` is")]
    Name,
}

const ACCOUNT: &str = "${account}";
const DN: &str = "${dn}";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_put_in_cannot_change_the_filter() {
        let filter =
            FilterTemplate::of_accounts("(&(objectClass=person)(uid=${account}))").unwrap();
        assert_eq!(filter.for_account("ann"), "(&(objectClass=person)(uid=ann))");
        assert_eq!(
            filter.for_account("*)(uid=root"),
            r"(&(objectClass=person)(uid=\2a\29\28uid=root))"
        );
        assert_eq!(filter.for_any(), "(&(objectClass=person)(uid=*))");
        assert_eq!(filter.attribute(), Some("uid"));
        let groups = FilterTemplate::of_groups("(|(member=${dn})(memberUid=${account}))").unwrap();
        assert_eq!(
            groups.for_member("${dn}*", "cn=${account}(x)"),
            r"(|(member=cn=${account}\28x\29)(memberUid=${dn}\2a))"
        );
        assert!(groups.names_members());
        let name = NameTemplate::parse("uid=${account},ou=people,dc=x").unwrap();
        assert_eq!(name.fill("a,ou=admins"), r"uid=a\2cou\3dadmins,ou=people,dc=x");
        let principal = NameTemplate::parse("${account}@example.org").unwrap();
        assert!(!principal.is_dn());
        assert_eq!(principal.fill("ann"), "ann@example.org");
    }

    #[test]
    fn the_attribute_of_an_account_is_what_its_name_is_compared_with() {
        for (filter, attribute) in [
            (
                "(|(sAMAccountName=${account})(userPrincipalName=${account}))",
                Some("sAMAccountName"),
            ),
            ("(mail=${account}@example.org)", None),
            ("(|(mail=${account}@example.org)(uid=${account}))", Some("uid")),
        ] {
            assert_eq!(FilterTemplate::of_accounts(filter).unwrap().attribute(), attribute);
        }
    }

    #[test]
    fn mistakes_are_named() {
        use TemplateError as E;
        let unknown = |name: &str| E::Unknown { name: name.to_owned() };
        for (text, error) in [
            ("(uid=ann)", E::Missing { placeholder: ACCOUNT }),
            ("(&(uid=${account})(member=${dn}))", E::Unexpected { placeholder: DN }),
            ("(uid=${account}", E::Syntax),
            ("uid=${account}", E::Syntax),
            ("(uid=%s)(uid=${account})", E::Syntax),
            ("(uid=${username})(uid=${account})", unknown("${username})(uid=${account})")),
            ("(uid>=${account})", E::Position),
            ("(cn:caseExactMatch:=${account})", E::Position),
            ("(${account})", E::Position),
            ("(${account}=x)", E::Position),
        ] {
            assert_eq!(FilterTemplate::of_accounts(text), Err(error), "{text}");
        }
        assert!(FilterTemplate::of_groups("(cn=x)").is_err());
        assert_eq!(NameTemplate::parse("uid=ann,dc=x"), Err(E::Missing { placeholder: ACCOUNT }));
        assert_eq!(NameTemplate::parse("uid=${account},"), Err(E::Name));
    }

    proptest! {
        /// RFC 4515: whatever the name, the filter that it makes has the same shape.
        #[test]
        fn any_name_makes_a_filter_of_the_same_shape(name in "\\PC{0,30}|[()*\\\\&|!=$ {}a-z]{0,20}") {
            let template = FilterTemplate::of_accounts("(&(objectClass=person)(uid=${account}))").unwrap();
            let filter = template.for_account(&name);
            prop_assert!(parse_filter(&filter).is_ok());
            prop_assert_eq!(filter.matches('(').count(), 3);
            prop_assert_eq!(filter.matches('*').count(), 0);
        }
    }
}
