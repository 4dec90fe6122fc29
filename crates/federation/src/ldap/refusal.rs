//! Why a directory lets somebody not in. For the log and for `explain`: outside there is one answer.

use ldap3::{
    LdapResult,
    asn1::{PL, parse_tag},
};

use super::fault::said;

/// Why a directory lets somebody not in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The password is another one; or, where names are made from a template, nobody has the name.
    #[error("the password is wrong")]
    WrongPassword,
    /// There is no password; directories take that for nobody, and answer yes.
    #[error("the password is empty")]
    EmptyPassword,
    /// The account is disabled.
    #[error("the account is disabled{}", code(*data))]
    Disabled {
        /// Active Directory's code.
        data: Option<u32>,
    },
    /// The account is locked after wrong passwords, or by an administrator.
    #[error("the account is locked{}", code(*data))]
    Locked {
        /// Active Directory's code.
        data: Option<u32>,
    },
    /// The account's time is over.
    #[error("the account has expired{}", code(*data))]
    AccountExpired {
        /// Active Directory's code.
        data: Option<u32>,
    },
    /// The password's time is over.
    #[error("the password has expired{}", code(*data))]
    PasswordExpired {
        /// Active Directory's code.
        data: Option<u32>,
    },
    /// The password has to be changed before anything else.
    #[error("the password must be changed first{}", code(*data))]
    MustChangePassword {
        /// Active Directory's code.
        data: Option<u32>,
    },
    /// Not now, or not from here.
    #[error("the account may not log in at this time or from this machine{}", code(Some(*data)))]
    Restricted {
        /// Active Directory's code.
        data: u32,
    },
    /// Several accounts have the name.
    #[error(
        "the filter finds more than one account of that name, {first:?} and {second:?} among them: narrow `filter`"
    )]
    Ambiguous {
        /// One.
        first: String,
        /// Another.
        second: String,
    },
    /// The account has no name that could stand in rules.
    #[error("the entry {dn:?} has no single `{attribute}` that could be the name of an account")]
    Nameless {
        /// The entry.
        dn: String,
        /// What was looked at.
        attribute: String,
    },
    /// Something else.
    #[error("the directory does not let it in: {reason}")]
    Other {
        /// What it said.
        reason: String,
    },
}

impl Refusal {
    /// What the result of a bind says that is no yes.
    pub fn of_bind(result: &LdapResult) -> Self {
        if let Some(data) = subcode(&result.text) {
            return Self::of_subcode(data);
        }
        if let Some(refusal) = policy_error(result).and_then(Self::of_policy) {
            return refusal;
        }
        match result.rc {
            // 389 Directory Server: too many wrong passwords.
            19 => Self::Locked { data: None },
            32 | 49 => Self::WrongPassword,
            53 if result.text.to_ascii_lowercase().contains("inactivated") => {
                Self::Disabled { data: None }
            }
            _ => Self::Other { reason: said(result) },
        }
    }

    /// What a yes says beside it.
    pub fn beside_success(result: &LdapResult) -> Option<Self> {
        policy_error(result).and_then(Self::of_policy)
    }

    /// Active Directory says it in the text (`… data 52e, v1db1`), in hexadecimal digits.
    fn of_subcode(data: u32) -> Self {
        match data {
            0x525 | 0x52e => Self::WrongPassword,
            0x530 | 0x531 => Self::Restricted { data },
            0x532 => Self::PasswordExpired { data: Some(data) },
            0x533 => Self::Disabled { data: Some(data) },
            0x701 => Self::AccountExpired { data: Some(data) },
            0x773 => Self::MustChangePassword { data: Some(data) },
            0x775 => Self::Locked { data: Some(data) },
            _ => Self::Other { reason: format!("data {data:x}") },
        }
    }

    /// draft-behera-ldap-password-policy, section 6.2.
    fn of_policy(error: u8) -> Option<Self> {
        match error {
            0 => Some(Self::PasswordExpired { data: None }),
            1 => Some(Self::Locked { data: None }),
            2 => Some(Self::MustChangePassword { data: None }),
            // The rest are about changing a password.
            _ => None,
        }
    }
}

/// The number behind `data` in a text of Active Directory.
fn subcode(text: &str) -> Option<u32> {
    let (_, rest) = text.split_once("AcceptSecurityContext error, data ")?;
    let digits = rest.split(|c: char| !c.is_ascii_hexdigit()).next()?;
    u32::from_str_radix(digits, 16).ok()
}

/// The `error` of the password policy's answer: `[1] ENUMERATED` in a sequence.
fn policy_error(result: &LdapResult) -> Option<u8> {
    let control = result.ctrls.iter().find(|control| control.1.ctype == PASSWORD_POLICY)?;
    policy_error_in(control.1.val.as_deref()?)
}

fn policy_error_in(value: &[u8]) -> Option<u8> {
    // What is nested deeply would be read deeply.
    if value.len() > LONGEST_POLICY {
        return None;
    }
    let (_, sequence) = parse_tag(value).ok()?;
    let PL::C(parts) = sequence.payload else { return None };
    let error = parts.into_iter().find(|part| part.id == 1)?;
    match error.payload {
        PL::P(bytes) => <[u8; 1]>::try_from(bytes).ok().map(|[error]| error),
        PL::C(_) => None,
    }
}

fn code(data: Option<u32>) -> String {
    data.map_or_else(String::new, |data| format!(" (data {data:x})"))
}

/// The control that asks for it and carries it.
pub(super) const PASSWORD_POLICY: &str = "1.3.6.1.4.1.42.2.27.8.5.1";

/// Of an answer: a warning of some bytes, and an error of three.
const LONGEST_POLICY: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn result(rc: u32, text: &str) -> LdapResult {
        LdapResult {
            rc,
            matched: String::new(),
            text: text.to_owned(),
            refs: vec![],
            ctrls: vec![],
        }
    }

    #[test]
    fn active_directory_tells_reasons_apart_in_its_text() {
        let said = |data: &str| {
            let text = format!(
                "80090308: LdapErr: DSID-0C090447, comment: AcceptSecurityContext error, data {data}, v1db1\0"
            );
            Refusal::of_bind(&result(49, &text)).to_string()
        };
        for (data, reason) in [
            ("52e", "the password is wrong"),
            ("525", "the password is wrong"),
            ("530", "the account may not log in at this time or from this machine (data 530)"),
            ("532", "the password has expired (data 532)"),
            ("533", "the account is disabled (data 533)"),
            ("701", "the account has expired (data 701)"),
            ("773", "the password must be changed first (data 773)"),
            ("775", "the account is locked (data 775)"),
            ("57", "the directory does not let it in: data 57"),
        ] {
            assert_eq!(said(data), reason);
        }
    }

    #[test]
    fn others_tell_little() {
        assert_eq!(Refusal::of_bind(&result(49, "")), Refusal::WrongPassword);
        assert_eq!(Refusal::of_bind(&result(19, "")), Refusal::Locked { data: None });
        let inactive = "Account inactivated. Contact system administrator.";
        assert_eq!(Refusal::of_bind(&result(53, inactive)), Refusal::Disabled { data: None });
        assert_eq!(
            Refusal::of_bind(&result(53, "no")).to_string(),
            "the directory does not let it in: result 53, \"no\""
        );
    }

    #[test]
    fn the_state_of_a_password_is_read_from_the_policy_control() {
        assert_eq!(policy_error_in(&[0x30, 3, 0x81, 1, 2]), Some(2));
        assert_eq!(policy_error_in(&[0x30, 8, 0xa0, 3, 0x80, 1, 9, 0x81, 1, 0]), Some(0));
        for none in
            [&[][..], &[0x30, 0], &[0x30, 3, 0x81, 2, 2], &[4, 1, 2], &[0x30, 3, 0xa1, 1, 2]]
        {
            assert_eq!(policy_error_in(none), None, "{none:?}");
        }
    }

    #[test]
    fn an_answer_that_is_longer_than_any_is_not_read() {
        let answer = |filling: u8| {
            let warning = vec![0; filling.into()];
            [&[0x30, filling + 5, 0xa0 & !0x20, filling][..], &warning, &[0x81, 1, 1]].concat()
        };
        assert_eq!(policy_error_in(&answer(20)), Some(1));
        assert_eq!(policy_error_in(&answer(80)), None);
    }

    proptest! {
        #[test]
        fn any_text_and_any_bytes_are_read(text in "\\PC{0,40}", data in "[0-9a-f]{0,12}", bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            Refusal::of_bind(&result(49, &format!("{text}AcceptSecurityContext error, data {data}, {text}")));
            policy_error_in(&bytes);
        }
    }
}
