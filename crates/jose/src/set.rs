//! Sets of trusted keys, and JWKS files.

use std::{collections::HashMap, fmt, sync::Arc, time::SystemTime};

use crate::{
    Certificate, IdForm, KeyId, VerifyingKey,
    certificate::OutOfDate,
    json::{self, JsonError, Map, Value},
    jwk::{self, Jwk},
};

/// Trusted keys, found by any name they have: the one their issuer gave them, their RFC 7638
/// thumbprint, and their libtrust fingerprint (JW13, JW14).
#[derive(Debug, Clone, Default)]
pub struct KeySet {
    keys: Vec<Arc<Trusted>>,
    named: HashMap<KeyId, Arc<Trusted>>,
    derived: HashMap<KeyId, Arc<Trusted>>,
    skipped: Vec<Skipped>,
}

/// A key, and how it came into the set.
#[derive(Debug)]
pub(crate) struct Trusted {
    key: VerifyingKey,
    name: Option<KeyId>,
    certificate: Option<Certificate>,
}

impl KeySet {
    /// No key.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a JWK set (RFC 7517 §5).
    ///
    /// An entry of an unknown kind, for encryption, or broken is skipped (RFC 7517 §5 wants that) and
    /// listed in [`KeySet::skipped`], for whoever reads the file to warn of. Of two entries with one name the last counts.
    pub fn from_jwks(json: &str) -> Result<Self, JwksError> {
        let object = json::parse_object(json.as_bytes())?;
        let entries = match object.get("keys") {
            Some(Value::Array(entries)) => entries,
            Some(other) => return Err(JwksError::NotAList { found: json::kind(other) }),
            None => return Err(JwksError::NoKeys),
        };
        let mut set = Self::new();
        for (index, entry) in entries.iter().enumerate() {
            if let Err(why) = set.insert_jwk(entry) {
                set.skipped.push(Skipped { index, why });
            }
        }
        Ok(set)
    }

    /// The entries that [`KeySet::from_jwks`] could not use.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// Adds a key under its thumbprint and its libtrust fingerprint.
    pub fn insert(&mut self, key: VerifyingKey) {
        self.add(Trusted { key, name: None, certificate: None });
    }

    /// Adds a key under a name of its issuer's making as well.
    pub fn insert_named(&mut self, name: KeyId, key: VerifyingKey) {
        self.add(Trusted { key, name: Some(name), certificate: None });
    }

    /// Adds a certificate's key. That the certificate is out of date does not matter to tokens which
    /// name the key by id; [`crate::Signer::warning`] says so, as both distributions accept them.
    pub fn insert_certificate(&mut self, certificate: &Certificate) {
        let key = certificate.key().clone();
        self.add(Trusted { key, name: None, certificate: Some(certificate.clone()) });
    }

    /// Adds all keys of another set.
    pub fn extend(&mut self, other: Self) {
        for trusted in other.keys {
            self.add_shared(trusted);
        }
        self.skipped.extend(other.skipped);
    }

    /// The key of that name.
    pub fn get(&self, id: &str) -> Option<&VerifyingKey> {
        self.find(id).map(Trusted::key)
    }

    /// In the order they came in.
    pub fn iter(&self) -> impl Iterator<Item = &VerifyingKey> {
        self.keys.iter().map(|trusted| &trusted.key)
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// As a JWK set, each key under its name or else its thumbprint; shared secrets are left out.
    pub fn to_jwks(&self) -> String {
        let keys: Vec<_> = self
            .keys
            .iter()
            .filter_map(|trusted| jwk::to_object(&trusted.key, trusted.id()))
            .map(Value::Object)
            .collect();
        let mut set = Map::new();
        set.insert("keys".to_owned(), Value::Array(keys));
        Value::Object(set).to_string()
    }

    pub(crate) fn find(&self, id: &str) -> Option<&Trusted> {
        self.named.get(id).or_else(|| self.derived.get(id)).map(AsRef::as_ref)
    }

    /// The names of the first few keys, as an id of that form would have to be written.
    pub(crate) fn names(&self, form: IdForm) -> Names {
        let name = |trusted: &Arc<Trusted>| match form {
            IdForm::Libtrust => KeyId::libtrust(&trusted.key),
            IdForm::Rfc7638 => trusted.key.id().clone(),
            IdForm::Other => trusted.id().clone(),
        };
        Names {
            first: self.keys.iter().take(Names::SHOWN).map(name).collect(),
            more: self.keys.len().saturating_sub(Names::SHOWN),
        }
    }

    fn insert_jwk(&mut self, entry: &Value) -> Result<(), String> {
        let Value::Object(object) = entry else {
            return Err(format!("it is {}, expected an object", json::kind(entry)));
        };
        if !Jwk::may_verify(object) {
            return Err("its `use` or `key_ops` does not allow verifying signatures".to_owned());
        }
        let jwk = Jwk::from_object(object).map_err(|error| error.to_string())?;
        self.add(Trusted { key: jwk.key, name: jwk.id, certificate: None });
        Ok(())
    }

    fn add(&mut self, trusted: Trusted) {
        self.add_shared(Arc::new(trusted));
    }

    fn add_shared(&mut self, trusted: Arc<Trusted>) {
        for id in trusted.key.ids() {
            self.derived.entry(id).or_insert_with(|| trusted.clone());
        }
        if let Some(name) = &trusted.name {
            self.named.insert(name.clone(), trusted.clone());
        }
        let same = |known: &Arc<Trusted>| known.key == trusted.key && known.name == trusted.name;
        if !self.keys.iter().any(same) {
            self.keys.push(trusted);
        }
    }
}

impl Trusted {
    pub(crate) fn key(&self) -> &VerifyingKey {
        &self.key
    }

    /// What is to be said about trusting it at `now`.
    pub(crate) fn warning(&self, now: SystemTime) -> Option<OutOfDate> {
        self.certificate.as_ref().and_then(|certificate| certificate.validity(now).err())
    }

    fn id(&self) -> &KeyId {
        self.name.as_ref().unwrap_or_else(|| self.key.id())
    }
}

/// The names of some keys, for an error message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    first: Vec<KeyId>,
    more: usize,
}

impl Names {
    const SHOWN: usize = 4;
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first.is_empty() {
            return f.write_str("no key at all");
        }
        for (index, id) in self.first.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{:?}", id.as_str())?;
        }
        if self.more > 0 {
            write!(f, " and {} more", self.more)?;
        }
        Ok(())
    }
}

/// An entry of a JWK set that is of no use here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Counted from zero.
    pub index: usize,
    /// What is wrong with it.
    pub why: String,
}

/// Why text is not a JWK set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JwksError {
    /// It is not one JSON object.
    #[error("not a JWK set: {0}")]
    Json(#[from] JsonError),
    /// There is no member `keys`.
    #[error("not a JWK set: `keys` is missing")]
    NoKeys,
    /// Its member `keys` is no list.
    #[error("not a JWK set: `keys` is {found}, expected a list")]
    NotAList {
        /// What it is.
        found: &'static str,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Algorithm, SigningKey};

    const RFC_8037: &str =
        r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    const DOCUMENTED: &str = r#"{"kty":"EC","crv":"P-256","kid":"one","x":"m7zUpx3b-zmVE5cymSs64POG9QcyEpJaYCD82-549_Q","y":"dU3biz8sZ_8GPB-odm8Wxz3lNDr1xcAQQPQaOcr1fmc"}"#;

    /// JW13, JW14, R15
    #[test]
    fn a_key_is_found_under_all_its_names() {
        let set = KeySet::from_jwks(&format!(r#"{{"keys":[{DOCUMENTED},{RFC_8037}]}}"#)).unwrap();
        for id in [
            "one",
            "8qjioA3ZA7ti2JIE7c-U8smBFuZolQZvhSHDPU3hhB8",
            "PYYO:TEWU:V7JH:26JV:AQTZ:LJC3:SXVJ:XGHA:34F2:2LAQ:ZRMK:Z7Q6",
        ] {
            assert_eq!(set.get(id).unwrap().algorithms(), Algorithm::Es256.into(), "{id}");
        }
        assert!(set.get("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k").is_some());
        assert!(set.get("").is_none());
        assert!(set.get("One").is_none());
    }

    /// CF3, docs/protocol.md §15
    #[test]
    fn an_unusable_entry_does_not_spoil_the_others() {
        let json = format!(
            r#"{{"keys":[5,{{"kty":"AKP"}},{{"kty":"RSA","use":"enc"}},{RFC_8037}],"more":1}}"#
        );
        let set = KeySet::from_jwks(&json).unwrap();
        assert_eq!(set.len(), 1);
        let skipped: Vec<_> = set.skipped().iter().map(|skipped| skipped.index).collect();
        assert_eq!(skipped, [0, 1, 2]);
    }

    #[test]
    fn what_is_no_set_is_an_error() {
        let table = [
            ("{}", "not a JWK set: `keys` is missing"),
            (r#"{"keys":{}}"#, "not a JWK set: `keys` is an object, expected a list"),
            ("[]", "not a JWK set: it is a list, expected an object"),
        ];
        for (json, words) in table {
            assert_eq!(KeySet::from_jwks(json).unwrap_err().to_string(), words);
        }
    }

    /// CF3
    #[test]
    fn of_two_entries_with_one_name_the_last_counts() {
        let first = RFC_8037.replace('}', r#","kid":"one"}"#);
        let set = KeySet::from_jwks(&format!(r#"{{"keys":[{first},{DOCUMENTED}]}}"#)).unwrap();
        assert_eq!(set.get("one").unwrap().algorithms(), Algorithm::Es256.into());
    }

    #[test]
    fn a_name_wins_over_somebody_elses_thumbprint() {
        let stranger = SigningKey::generate(Algorithm::EdDsa).unwrap();
        let named = SigningKey::generate(Algorithm::Es256).unwrap();
        let mut set = KeySet::new();
        set.insert(stranger.public().clone());
        set.insert_named(stranger.id().clone(), named.public().clone());
        assert_eq!(set.get(stranger.id().as_str()), Some(named.public()));
    }

    #[test]
    fn a_set_reads_back_as_it_was_written_without_its_secrets() {
        let mut set = KeySet::new();
        for algorithm in [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Es384, Algorithm::Es512] {
            set.insert(SigningKey::generate(algorithm).unwrap().public().clone());
        }
        let secret = format!(r#"{{"kty":"oct","k":"{}"}}"#, "A".repeat(43));
        set.insert_named("secret".into(), VerifyingKey::from_jwk(&secret).unwrap());
        let again = KeySet::from_jwks(&set.to_jwks()).unwrap();
        assert_eq!(again.len(), 4);
        for (before, after) in set.iter().zip(again.iter()) {
            assert_eq!((before, before.id()), (after, after.id()));
        }
    }

    #[test]
    fn a_key_that_comes_twice_is_listed_once() {
        let mut set = KeySet::from_jwks(&format!(r#"{{"keys":[{RFC_8037}]}}"#)).unwrap();
        set.extend(set.clone());
        assert_eq!(set.len(), 1);
        set.insert_named("one".into(), VerifyingKey::from_jwk(RFC_8037).unwrap());
        assert_eq!(set.len(), 2, "a name of its own makes it another entry");
    }

    #[test]
    fn sets_can_be_joined() {
        let mut set = KeySet::from_jwks(&format!(r#"{{"keys":[{DOCUMENTED}]}}"#)).unwrap();
        set.extend(KeySet::from_jwks(&format!(r#"{{"keys":[{RFC_8037},null]}}"#)).unwrap());
        assert_eq!((set.len(), set.skipped().len()), (2, 1));
        assert!(set.get("one").is_some());
        assert!(set.get("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k").is_some());
    }

    proptest! {
        /// RFC 7517 §5: no entry breaks the set, and what was taken is written and read back.
        #[test]
        fn any_entries_are_taken_or_skipped(
            entries in prop::collection::vec(entry(), 0..5),
        ) {
            let count = entries.len();
            let text = format!("{{\"keys\":[{}]}}", entries.join(","));
            // A member that is there twice spoils the file.
            let Ok(set) = KeySet::from_jwks(&text) else {
                prop_assert!(json::parse_object(text.as_bytes()).is_err());
                return Ok(());
            };
            prop_assert!(set.len() + set.skipped().len() <= count);
            let again = KeySet::from_jwks(&set.to_jwks()).unwrap();
            prop_assert!(again.skipped().is_empty(), "{}", set.to_jwks());
            prop_assert!(again.iter().all(|key| set.iter().any(|known| known == key)));
        }

        #[test]
        fn foreign_text_never_panics(text in "(\\PC|\\{|\\}|\\[|\\]|\"keys\":|\"kty\":\"EC\"){0,40}") {
            let _ = KeySet::from_jwks(&text);
            let _ = VerifyingKey::from_jwk(&text);
        }
    }

    /// Members of keys of all kinds, right and wrong, in any company.
    fn entry() -> impl Strategy<Value = String> {
        let member = prop::sample::select(vec![
            r#""kty":"EC""#,
            r#""kty":"OKP""#,
            r#""kty":"RSA""#,
            r#""kty":"oct""#,
            r#""kty":7"#,
            r#""crv":"P-256""#,
            r#""crv":"P-521""#,
            r#""crv":"Ed25519""#,
            r#""kid":"one""#,
            r#""kid":null"#,
            r#""x":"m7zUpx3b-zmVE5cymSs64POG9QcyEpJaYCD82-549_Q""#,
            r#""x":"""#,
            r#""x":[]"#,
            r#""x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo""#,
            r#""y":"dU3biz8sZ_8GPB-odm8Wxz3lNDr1xcAQQPQaOcr1fmc""#,
            r#""n":"AQAB""#,
            r#""e":"AQAB""#,
            r#""k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ""#,
            r#""alg":"ES256""#,
            r#""alg":"none""#,
            r#""use":"enc""#,
            r#""x5c":["MA=="]"#,
            r#""d":"AA""#,
        ]);
        prop_oneof![
            prop::collection::vec(member, 0..6)
                .prop_map(|members| format!("{{{}}}", members.join(","))),
            Just(RFC_8037.to_owned()),
            Just(DOCUMENTED.to_owned()),
            Just("null".to_owned()),
        ]
    }
}
