//! Accounts of an htpasswd file.

use std::{sync::Arc, time::SystemTime};

use async_trait::async_trait;
use portpass_password::{HtpasswdFile, PasswordCheck, Verdict, htpasswd::Entry};

use super::{Authenticator, Circumstances, Outcome, Unavailable};
use crate::subject::{
    Account, AccountId, AccountKind, AccountName, CredentialVersion, Labels, Login, SourceName,
};

/// Accounts of an htpasswd file: in no group, without a ceiling.
///
/// The name is the identifier, since the file has no other; the version is the hash of the line, so
/// whoever changes a line ends what was issued for it. An account whose hash is of no accepted form
/// is known and can do nothing.
#[derive(Debug)]
pub struct HtpasswdAccounts {
    source: SourceName,
    file: Arc<HtpasswdFile>,
    passwords: PasswordCheck,
}

impl HtpasswdAccounts {
    /// The accounts of `file`, which must have its costs registered with the pool of `passwords`.
    pub fn new(source: SourceName, file: Arc<HtpasswdFile>, passwords: PasswordCheck) -> Self {
        Self { source, file, passwords }
    }

    fn account(&self, name: AccountName, entry: &Entry) -> Account {
        Account {
            source: self.source.clone(),
            id: AccountId::new(name.as_str()),
            version: CredentialVersion::new(entry.version()),
            name,
            groups: [].into(),
            labels: Labels::default(),
            kind: AccountKind::Person,
            ceiling: None,
            valid_until: None,
        }
    }
}

#[async_trait]
impl Authenticator for HtpasswdAccounts {
    fn source(&self) -> &SourceName {
        &self.source
    }

    async fn authenticate(
        &self,
        login: &Login,
        at: &Circumstances<'_>,
    ) -> Result<Outcome, Unavailable> {
        let now = at.now;
        let credentials = login.credentials(self.source.as_str(), at.queue_class);
        let Some(entry) = self.file.find(credentials.name, now).await else {
            return Ok(Outcome::Unknown);
        };
        let verdict = match entry.hash() {
            Ok(stored) => self.passwords.check(credentials, stored, now).await?,
            // Why it cannot log in was said when the file was read: to say it here takes time that an
            // unknown name does not take.
            Err(_) => Verdict::Reject(self.passwords.refuse(credentials, now).await?),
        };
        Ok(match verdict {
            Verdict::Accept => Outcome::Authenticated(self.account(login.account.clone(), &entry)),
            Verdict::Reject(paid) => Outcome::Rejected(paid.into()),
        })
    }

    async fn by_id(&self, id: &AccountId, now: SystemTime) -> Result<Option<Account>, Unavailable> {
        let Ok(name) = id.as_str().parse() else { return Ok(None) };
        let entry = self.file.find(id.as_str(), now).await;
        let usable = entry.filter(|entry| entry.hash().is_ok());
        Ok(usable.map(|entry| self.account(name, &entry)))
    }

    async fn by_name(
        &self,
        name: &AccountName,
        now: SystemTime,
    ) -> Result<Option<Account>, Unavailable> {
        let entry = self.file.find(name.as_str(), now).await;
        Ok(entry.map(|entry| self.account(name.clone(), &entry)))
    }

    async fn names(&self, now: SystemTime) -> Result<Vec<AccountName>, Unavailable> {
        Ok(self.file.names(now).await.iter().filter_map(|name| name.parse().ok()).collect())
    }

    fn names_all(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, num::NonZeroUsize, time::Duration};

    use portpass_password::{
        CredentialCache, Formats, HashPool, htpasswd::HtpasswdSettings, pool::PoolSettings,
    };

    use super::*;
    use crate::{
        accounts::{AuthenticatorChain, Claim},
        fixture::unproved,
        policy::{RuleContext, RuleId, RuleSet, RuleText},
    };

    /// bcrypt 5 of `opensesame`, by Apache's `htpasswd`.
    const OPENSESAME: &str = "$2y$05$Ldt2JY77LMtMeeRB9fe.3etCZ520N8TBAb0FoajNAtK1zbeyCOrMu";
    /// bcrypt 5 of the empty password.
    const EMPTY: &str = "$2y$05$eENeEfHAjnQs5BcHFEYx/OUmD6ohaNEZQwkSnfF.jRg9mDMIyev5m";

    struct Bench {
        folder: tempfile::TempDir,
        accounts: HtpasswdAccounts,
    }

    fn noon() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_hours(500_000)
    }

    fn bench(text: &str) -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users");
        fs::write(&path, text).unwrap();
        let pool = HashPool::new(PoolSettings { threads: NonZeroUsize::MIN, queue: 8 });
        let cache = CredentialCache::new([1; 32], NonZeroUsize::MIN, Duration::from_mins(5));
        let passwords = PasswordCheck::new(pool, Arc::new(cache));
        let settings = HtpasswdSettings { path, formats: Formats::Current };
        let file = HtpasswdFile::open(settings, passwords.pool().source(), noon()).unwrap();
        let accounts = HtpasswdAccounts::new(SourceName::htpasswd(), Arc::new(file), passwords);
        Bench { folder, accounts }
    }

    impl Bench {
        async fn login(&self, name: &str, password: &str, now: SystemTime) -> Outcome {
            let login = Login { account: name.parse().unwrap(), password: password.into() };
            self.accounts.authenticate(&login, &unproved(now)).await.unwrap()
        }
    }

    #[tokio::test]
    async fn a_right_password_makes_an_account_of_this_source() {
        let bench = bench(&format!("ann:{OPENSESAME}\nempty:{EMPTY}"));
        let Outcome::Authenticated(account) = bench.login("ann", "opensesame", noon()).await else {
            panic!("rejected")
        };
        assert_eq!((account.source.as_str(), account.id.as_str()), ("htpasswd", "ann"));
        assert!(account.groups.is_empty() && account.ceiling.is_none());
        // HT5: an empty password counts if it was hashed so.
        assert!(matches!(bench.login("empty", "", noon()).await, Outcome::Authenticated(_)));
    }

    #[tokio::test]
    async fn whoever_is_in_the_file_is_decided_here_and_others_are_not() {
        let bench = bench(&format!("ann:{OPENSESAME}\nbob:plain text"));
        assert!(matches!(bench.login("ann", "Opensesame", noon()).await, Outcome::Rejected(_)));
        assert!(matches!(bench.login("ann", "", noon()).await, Outcome::Rejected(_)));
        assert!(matches!(bench.login("bob", "plain text", noon()).await, Outcome::Rejected(_)));
        assert_eq!(bench.login("carol", "opensesame", noon()).await, Outcome::Unknown);
    }

    #[tokio::test]
    async fn the_version_changes_with_the_line_and_a_removed_line_is_gone() {
        let bench = bench(&format!("ann:{OPENSESAME}\nbob:plain"));
        let (ann, bob) = (AccountId::new("ann"), AccountId::new("bob"));
        let before = bench.accounts.by_id(&ann, noon()).await.unwrap().unwrap();
        assert_eq!(bench.accounts.by_id(&bob, noon()).await, Ok(None));
        let named = bench.accounts.by_name(&"bob".parse().unwrap(), noon()).await.unwrap();
        assert_eq!(named.unwrap().name.as_str(), "bob");

        let path = bench.folder.path().join("users");
        fs::write(&path, format!("ann:{EMPTY}")).unwrap();
        let later = noon() + Duration::from_secs(1);
        let after = bench.accounts.by_id(&ann, later).await.unwrap().unwrap();
        assert_ne!(before.version, after.version);
        assert!(matches!(bench.login("ann", "opensesame", later).await, Outcome::Rejected(_)));

        fs::write(&path, "").unwrap();
        let later = noon() + Duration::from_secs(2);
        assert_eq!(bench.accounts.by_id(&ann, later).await, Ok(None));
        assert_eq!(bench.login("ann", "", later).await, Outcome::Unknown);
    }

    /// Whoever writes the file need not know the rules.
    #[tokio::test]
    async fn an_account_that_is_called_like_a_namespace_is_found() {
        let bench =
            bench(&format!("team:{OPENSESAME}\nann:{OPENSESAME}\npublic:plain\nrobot-x:plain"));
        let rule = |allow: &[&str], repository: &str, to: &str| RuleText {
            allow: Some(allow.iter().map(|word| (*word).to_owned()).collect()),
            repository: Some(repository.to_owned()),
            to: vec![to.to_owned()],
            ..RuleText::default()
        };
        let rules = [
            rule(&["pull"], "public/**", "anyone"),
            rule(&["pull", "push"], "${account}/**", "signed-in"),
            rule(&["push"], "team/**", "user:ann"),
        ];
        let around = RuleContext {
            sources: vec![SourceName::htpasswd()],
            services: vec![],
            anonymous: true,
            ..RuleContext::default()
        };
        let rules = RuleSet::parse(&rules, &around).unwrap();
        let check = bench.accounts.passwords.clone();
        let chain = AuthenticatorChain::new(vec![Arc::new(bench.accounts)], check);
        let found = chain.squatters(&rules, noon()).await;
        let found: Vec<_> = found.iter().map(|one| (one.account.as_str(), one.claim)).collect();
        let rule = |index| Claim::Repositories(RuleId::at(index));
        assert_eq!(found, [("public", rule(0)), ("robot-x", Claim::Robot), ("team", rule(2))]);
    }

    #[tokio::test]
    async fn an_id_that_is_no_name_is_nobodys() {
        let bench = bench("");
        for id in ["", "a/b", "a\nb"] {
            assert_eq!(bench.accounts.by_id(&AccountId::new(id), noon()).await, Ok(None));
        }
    }
}
