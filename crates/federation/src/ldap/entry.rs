//! An entry of a directory, and what of an account is in it.

use std::{
    collections::HashMap,
    fmt::Write as _,
    time::{Duration, SystemTime},
};

use ldap3::SearchEntry;

use super::{Dn, refusal::Refusal};

/// An entry, its attributes by their names in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its name, as the directory writes it.
    pub(super) dn: String,
    attributes: HashMap<String, Vec<Vec<u8>>>,
}

impl From<SearchEntry> for Entry {
    fn from(entry: SearchEntry) -> Self {
        let mut attributes: HashMap<String, Vec<Vec<u8>>> = HashMap::new();
        let texts = entry.attrs.into_iter().map(|(name, values)| {
            (name, values.into_iter().map(String::into_bytes).collect::<Vec<_>>())
        });
        for (name, values) in texts.chain(entry.bin_attrs) {
            attributes.entry(name.to_ascii_lowercase()).or_default().extend(values);
        }
        Self { dn: entry.dn, attributes }
    }
}

impl Entry {
    pub(super) fn bytes(&self, attribute: &str) -> &[Vec<u8>] {
        self.attributes.get(&attribute.to_ascii_lowercase()).map_or(&[], Vec::as_slice)
    }

    pub(super) fn texts(&self, attribute: &str) -> impl Iterator<Item = &str> {
        self.bytes(attribute).iter().filter_map(|value| std::str::from_utf8(value).ok())
    }

    fn text(&self, attribute: &str) -> Option<&str> {
        self.texts(attribute).next()
    }

    fn number(&self, attribute: &str) -> Option<i64> {
        self.text(attribute)?.trim().parse().ok()
    }

    fn is_true(&self, attribute: &str) -> bool {
        self.text(attribute).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// Whether only some of an attribute's values are here: Active Directory gives 1 500 at once, as
    /// `memberOf;range=0-1499`.
    pub(super) fn is_partial(&self, attribute: &str) -> bool {
        let ranged = format!("{};range=", attribute.to_ascii_lowercase());
        self.attributes.keys().any(|name| name.starts_with(&ranged))
    }

    /// What the directory calls it for ever. Without such an attribute the name has to do, which changes if
    /// the entry is moved.
    pub(super) fn id(&self) -> EntryId {
        let unique = UNIQUE.iter().find_map(|attribute| {
            let [value] = self.bytes(attribute) else { return None };
            Some(EntryId::Unique { attribute, value: value.clone() })
        });
        unique.unwrap_or_else(|| EntryId::Name(self.dn.clone()))
    }

    /// What rules call it: the attribute's value in lower case, since directories do not tell `Ann` from `ann`.
    /// Of several values it is the one in the entry's own name, or the first by the alphabet: one account has
    /// one name, however it logs in.
    pub(super) fn account_name(&self, attribute: &str) -> Option<String> {
        let mut values: Vec<String> = self.texts(attribute).map(str::to_lowercase).collect();
        values.sort_unstable();
        let own = Dn::parse(&self.dn)
            .filter(|dn| dn.as_str().starts_with(&format!("{}=", attribute.to_ascii_lowercase())))
            .map(|dn| dn.first_value().to_lowercase());
        own.filter(|own| values.contains(own)).or_else(|| values.into_iter().next())
    }

    /// Changes with the password, where the directory tells.
    pub(super) fn password_version(&self) -> Option<String> {
        PASSWORD_CHANGED
            .iter()
            .find_map(|attribute| Some(format!("{attribute}={}", self.text(attribute)?)))
    }

    /// What keeps it out although nobody asks for a password: a lock after wrong passwords does not, since
    /// anybody could end the sessions of anybody else by it.
    pub(super) fn obstacle(&self, now: SystemTime) -> Option<Refusal> {
        let disabled = self.number("userAccountControl").is_some_and(|bits| bits & DISABLED != 0)
            || self.is_true("nsAccountLock")
            || self.is_true("msDS-UserAccountDisabled")
            || self.text("pwdAccountLockedTime") == Some(LOCKED_FOR_EVER);
        if disabled {
            return Some(Refusal::Disabled { data: None });
        }
        if self.number("accountExpires").and_then(file_time).is_some_and(|end| end <= now) {
            return Some(Refusal::AccountExpired { data: None });
        }
        self.is_true("pwdReset").then_some(Refusal::MustChangePassword { data: None })
    }

    /// Whether it is locked after wrong passwords, where the directory tells.
    pub(super) fn is_locked(&self) -> bool {
        self.text("pwdAccountLockedTime").is_some()
    }

    /// The primary group of Active Directory's accounts, which is in no list: the account's own identifier
    /// with another last number ([MS-ADTS] 3.1.1.3.4.1.12).
    pub(super) fn primary_group(&self) -> Option<Vec<u8>> {
        let number = u32::try_from(self.number("primaryGroupID")?).ok()?;
        let [own] = self.bytes("objectSid") else { return None };
        let (domain, _) = own.split_last_chunk::<4>()?;
        Some([domain, &number.to_le_bytes()].concat())
    }
}

/// What a directory calls an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum EntryId {
    /// By an attribute that no other entry has the value of, and that stays.
    Unique { attribute: &'static str, value: Vec<u8> },
    /// By its name.
    Name(String),
}

impl EntryId {
    /// As it is kept.
    pub(super) fn to_text(&self) -> String {
        match self {
            Self::Unique { attribute, value } => match std::str::from_utf8(value) {
                Ok(text) if !BINARY.contains(attribute) => format!("{attribute}={text}"),
                Ok(_) | Err(_) => format!("{attribute}={}", hexadecimal(value)),
            },
            Self::Name(dn) => format!("dn={dn}"),
        }
    }

    /// As it was kept; `None` for what nobody keeps.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (kind, value) = text.split_once('=')?;
        if kind == "dn" {
            return Some(Self::Name(value.to_owned()));
        }
        let attribute = UNIQUE.iter().find(|attribute| **attribute == kind)?;
        let value = if BINARY.contains(attribute) {
            from_hexadecimal(value)?
        } else {
            value.as_bytes().to_vec()
        };
        Some(Self::Unique { attribute, value })
    }
}

/// Bytes in a filter (RFC 4515, section 3).
pub(super) fn escaped(bytes: &[u8]) -> String {
    written(bytes, "\\")
}

fn hexadecimal(bytes: &[u8]) -> String {
    written(bytes, "")
}

fn written(bytes: &[u8], before: &str) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{before}{byte:02x}");
        text
    })
}

fn from_hexadecimal(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

/// Tenths of microseconds since 1601; none and the largest number are never.
fn file_time(ticks: i64) -> Option<SystemTime> {
    let ticks =
        u64::try_from(ticks).ok().filter(|ticks| *ticks != 0 && *ticks < i64::MAX as u64)?;
    let since_1601 = Duration::from_micros(ticks / 10);
    let since_1970 = since_1601.checked_sub(FROM_1601_TO_1970).unwrap_or_default();
    SystemTime::UNIX_EPOCH.checked_add(since_1970)
}

/// What is asked of an account's entry, beside its name and its groups.
pub(super) const ASKED: &[&str] = &[
    "entryUUID",
    "objectGUID",
    "ipaUniqueID",
    "nsUniqueId",
    "userAccountControl",
    "msDS-UserAccountDisabled",
    "accountExpires",
    "nsAccountLock",
    "pwdAccountLockedTime",
    "pwdReset",
    "pwdLastSet",
    "pwdChangedTime",
    "pwdUpdateTime",
    "krbLastPwdChange",
    "primaryGroupID",
    "objectSid",
];
/// RFC 4530, Active Directory, `FreeIPA`, 389 Directory Server.
const UNIQUE: &[&str] = &["entryUUID", "objectGUID", "ipaUniqueID", "nsUniqueId"];
const BINARY: &[&str] = &["objectGUID"];
const PASSWORD_CHANGED: &[&str] =
    &["pwdLastSet", "pwdChangedTime", "pwdUpdateTime", "krbLastPwdChange"];
/// ACCOUNTDISABLE ([MS-ADTS] 2.2.16).
const DISABLED: i64 = 0x2;
/// By an administrator (slapo-ppolicy(5)).
const LOCKED_FOR_EVER: &str = "000001010000Z";
const FROM_1601_TO_1970: Duration = Duration::from_hours(3_234_576);

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(dn: &str, attributes: &[(&str, &[&str])]) -> Entry {
        let attrs = attributes.iter().map(|(name, values)| {
            ((*name).to_owned(), values.iter().map(|value| (*value).to_owned()).collect())
        });
        Entry::from(SearchEntry {
            dn: dn.to_owned(),
            attrs: attrs.collect(),
            bin_attrs: HashMap::new(),
        })
    }

    #[test]
    fn one_account_has_one_name() {
        let name = |dn: &str, values: &[&str]| entry(dn, &[("uid", values)]).account_name("UID");
        assert_eq!(name("uid=Ann,dc=x", &["annie", "Ann"]).as_deref(), Some("ann"));
        assert_eq!(name("cn=Ann Lee,dc=x", &["bob", "Ann"]).as_deref(), Some("ann"));
        assert_eq!(name("uid=gone,dc=x", &["ann"]).as_deref(), Some("ann"));
        assert_eq!(name("cn=a,dc=x", &[]), None);
    }

    #[test]
    fn an_id_is_kept_and_read_again() {
        let mut guid = Entry { dn: "cn=a".to_owned(), ..Entry::default() };
        guid.attributes.insert("objectguid".to_owned(), vec![vec![0x0a, 0xff, b'=']]);
        for (entry, text) in [
            (entry("cn=a,dc=x", &[("entryuuid", &["b1-c2"])]), "entryUUID=b1-c2"),
            (entry("cn=a,dc=x", &[]), "dn=cn=a,dc=x"),
            (guid, "objectGUID=0aff3d"),
        ] {
            assert_eq!(entry.id().to_text(), text);
            assert_eq!(EntryId::parse(text), Some(entry.id()));
        }
        for text in ["", "uid=ann", "objectGUID=0", "objectGUID=zz", "x"] {
            let read = EntryId::parse(text);
            assert!(read.is_none() || text == "objectGUID=0", "{text}: {read:?}");
        }
    }

    #[test]
    fn what_keeps_an_account_out_is_read_from_its_entry() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(500_000);
        let obstacle = |name: &str, value: &str| entry("cn=a", &[(name, &[value])]).obstacle(now);
        let disabled = Some(Refusal::Disabled { data: None });
        let expired = Some(Refusal::AccountExpired { data: None });
        for (name, value, is) in [
            ("userAccountControl", "514", &disabled),
            ("userAccountControl", "512", &None),
            ("nsAccountLock", "TRUE", &disabled),
            ("pwdAccountLockedTime", "000001010000Z", &disabled),
            ("pwdAccountLockedTime", "20260101000000Z", &None),
            ("accountExpires", "0", &None),
            ("accountExpires", "9223372036854775807", &None),
            // 2026-01-01 and 2037-01-01.
            ("accountExpires", "134116992000000000", &expired),
            ("accountExpires", "137588544000000000", &None),
            ("accountExpires", "1", &expired),
            ("pwdReset", "TRUE", &Some(Refusal::MustChangePassword { data: None })),
        ] {
            assert_eq!(obstacle(name, value), *is, "{name}: {value}");
        }
    }

    #[test]
    fn the_primary_group_has_the_domain_of_the_account() {
        let mut entry = entry("cn=a", &[("primaryGroupID", &["513"])]);
        assert_eq!(entry.primary_group(), None);
        entry.attributes.insert("objectsid".to_owned(), vec![vec![1, 5, 9, 9, 0x57, 4, 0, 0]]);
        assert_eq!(entry.primary_group(), Some(vec![1, 5, 9, 9, 0x01, 2, 0, 0]));
        entry.attributes.insert("objectsid".to_owned(), vec![vec![1]]);
        assert_eq!(entry.primary_group(), None);
    }
}
