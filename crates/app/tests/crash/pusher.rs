//! A client that pushes, mounts, tags, deletes and pulls, and writes down what it was told.

use std::sync::Arc;

use reqwest::{Method, RequestBuilder, StatusCode, header::CONTENT_TYPE};

use crate::{
    errand::{Errand, Named},
    goods::{Content, Manifest, TAGS},
    journal::{Effect, Journal, Thing, Value},
    tokens::LoggedIn,
    uploads::Session,
    wire::{Answer, Lost, Wire},
};

/// One client of many.
#[derive(Debug)]
pub(crate) struct Pusher {
    /// What its refresh tokens are for: at most fifty live ones are kept for each.
    pub(crate) name: String,
    pub(crate) wire: Wire,
    pub(crate) journal: Arc<Journal>,
    pub(crate) password: Arc<str>,
    pub(crate) token: String,
    /// Refresh tokens that it has and has not given back.
    pub(crate) secrets: Vec<String>,
    /// What it pushed and nobody deletes.
    pub(crate) held: Vec<(&'static str, Content)>,
    /// The upload it is at.
    pub(crate) session: Option<Session>,
}

impl Pusher {
    pub(crate) async fn start(
        name: String,
        wire: Wire,
        journal: Arc<Journal>,
        password: Arc<str>,
    ) -> Result<Self, Lost> {
        let (token, secrets, held) = (String::new(), Vec::new(), Vec::new());
        let mut pusher =
            Self { name, wire, journal, password, token, secrets, held, session: None };
        // With one to give back.
        for _ in 0..2 {
            pusher.log_in().await?;
        }
        Ok(pusher)
    }

    /// Does it all. What is left undone when the server is gone may be done again from the start.
    pub(crate) async fn perform(&mut self, errand: &Errand) -> Result<(), Lost> {
        match errand {
            Errand::Whole { repository, content } => self.push_whole(repository, content).await,
            Errand::Patches { repository, content, cuts } => {
                self.push_in_patches(repository, content, cuts).await
            }
            Errand::Mount { from, to, content } => self.mount(from, to, content).await,
            Errand::Push { repository, manifest, named } => {
                self.push(repository, manifest, named).await
            }
            Errand::Cancel { repository, content } => self.cancel(repository, content).await,
            Errand::Abandon { repository, content } => {
                self.abandon(repository, content).await.map(drop)
            }
            Errand::DeleteTag { repository, tag } => self.delete_tag(repository, tag).await,
            Errand::DeleteManifest { repository, manifest } => {
                self.delete_manifest(repository, manifest).await
            }
            Errand::DeleteBlob { repository, content } => {
                self.delete_blob(repository, content).await
            }
            Errand::Pull { repository, content } => {
                let path = format!("/v2/{repository}/blobs/{}", content.digest);
                let found = self.wire.fetch(&path, &self.token).await?;
                assert!(found.is_some_and(|bytes| bytes == content.bytes), "{path}");
                Ok(())
            }
            Errand::LogIn => self.log_in().await,
            Errand::Refresh => self.refresh().await,
            Errand::LogOut => self.log_out().await,
        }
    }

    /// Asks for a change and writes down what became of it: the first status is a yes, the other is
    /// a no that may come.
    pub(crate) async fn change(
        &self,
        effects: Vec<(Thing, Effect)>,
        request: RequestBuilder,
        Expected(yes, no): Expected,
    ) -> Result<Answer, Lost> {
        let ticket = self.journal.begin(effects);
        let outcome = self.wire.send(request.bearer_auth(&self.token)).await;
        match outcome {
            Ok(answer) if answer.status == yes => {
                self.journal.acknowledge(ticket);
                Ok(answer)
            }
            Ok(answer) if no == Some(answer.status) => {
                self.journal.withdraw(ticket);
                Ok(answer)
            }
            Ok(answer) if answer.status.is_server_error() => {
                // It says that it was not done, and is held to that.
                self.journal.withdraw(ticket);
                Err(Lost::Refused(answer.into()))
            }
            Ok(answer) => panic!("{answer:?}"),
            Err(Lost::NeverSent) => {
                self.journal.withdraw(ticket);
                Err(Lost::NeverSent)
            }
            Err(lost) => Err(lost),
        }
    }

    pub(crate) async fn push_whole(
        &mut self,
        repository: &'static str,
        content: &Content,
    ) -> Result<(), Lost> {
        let path = format!("/v2/{repository}/blobs/uploads/?digest={}", content.digest);
        let request = self.wire.carrying(self.wire.request(Method::POST, &path), &content.bytes);
        self.change(blob_is(repository, content, Value::Present), request, CREATED).await?;
        Ok(())
    }

    async fn mount(
        &mut self,
        from: &'static str,
        to: &'static str,
        content: &Content,
    ) -> Result<(), Lost> {
        let path = format!("/v2/{to}/blobs/uploads/?mount={}&from={from}", content.digest);
        let request = self.wire.request(Method::POST, &path);
        let expected = Expected(StatusCode::CREATED, Some(StatusCode::ACCEPTED));
        let answer = self.change(blob_is(to, content, Value::Present), request, expected).await?;
        if answer.status == StatusCode::ACCEPTED {
            // An upload has begun instead; clients that do not want it cancel it.
            let cancel = self.wire.request(Method::DELETE, answer.header("location"));
            self.change(Vec::new(), cancel, CANCELLED).await?;
        }
        Ok(())
    }

    /// Everything that the manifest needs, then the manifest.
    async fn push(
        &mut self,
        repository: &'static str,
        manifest: &Manifest,
        named: &Named,
    ) -> Result<(), Lost> {
        for child in &manifest.children {
            self.push_blobs(repository, child).await?;
            self.put_manifest(repository, child, &Named::Digest(Vec::new())).await?;
        }
        self.push_blobs(repository, manifest).await?;
        self.put_manifest(repository, manifest, named).await
    }

    async fn push_blobs(
        &mut self,
        repository: &'static str,
        manifest: &Manifest,
    ) -> Result<(), Lost> {
        for blob in &manifest.blobs {
            if self.holds(repository, blob) {
                continue;
            }
            match blob.digest.as_bytes()[0] % 2 {
                0 => self.push_whole(repository, blob).await?,
                _ => self.push_in_patches(repository, blob, &[]).await?,
            }
            self.held.push((repository, blob.clone()));
        }
        Ok(())
    }

    pub(crate) async fn put_manifest(
        &self,
        repository: &'static str,
        manifest: &Manifest,
        named: &Named,
    ) -> Result<(), Lost> {
        let digest = manifest.content.digest;
        let path = match named {
            Named::Tag(tag) => format!("/v2/{repository}/manifests/{tag}"),
            Named::Digest(tags) => {
                let tags: Vec<String> = tags.iter().map(|tag| format!("tag={tag}")).collect();
                format!("/v2/{repository}/manifests/{digest}?{}", tags.join("&"))
            }
        };
        let mut effects =
            vec![(Thing::Manifest { repository, digest }, Effect::Set(Value::Present))];
        effects.extend(
            named
                .tags()
                .iter()
                .map(|tag| (Thing::Tag { repository, tag }, Effect::Set(Value::Names(digest)))),
        );
        let request = self
            .wire
            .request(Method::PUT, &path)
            .header(CONTENT_TYPE, manifest.media_type)
            .body(manifest.content.bytes.clone());
        self.change(effects, request, CREATED).await?;
        Ok(())
    }

    async fn delete_tag(&self, repository: &'static str, tag: &'static str) -> Result<(), Lost> {
        let effect = (Thing::Tag { repository, tag }, Effect::Set(Value::Absent));
        let path = format!("/v2/{repository}/manifests/{tag}");
        self.change(vec![effect], self.wire.request(Method::DELETE, &path), DELETED).await?;
        Ok(())
    }

    async fn delete_manifest(
        &self,
        repository: &'static str,
        manifest: &Manifest,
    ) -> Result<(), Lost> {
        let digest = manifest.content.digest;
        let mut effects =
            vec![(Thing::Manifest { repository, digest }, Effect::Set(Value::Absent))];
        effects.extend(TAGS.map(|tag| (Thing::Tag { repository, tag }, Effect::Untag(digest))));
        let path = format!("/v2/{repository}/manifests/{digest}");
        self.change(effects, self.wire.request(Method::DELETE, &path), DELETED).await?;
        Ok(())
    }

    async fn delete_blob(&self, repository: &'static str, content: &Content) -> Result<(), Lost> {
        let path = format!("/v2/{repository}/blobs/{}", content.digest);
        let request = self.wire.request(Method::DELETE, &path);
        self.change(blob_is(repository, content, Value::Absent), request, DELETED).await?;
        Ok(())
    }

    async fn log_in(&mut self) -> Result<(), Lost> {
        let LoggedIn { token, secret } = self.wire.log_in(&self.name, &self.password).await?;
        note_login(&self.journal, &secret);
        self.token = token;
        self.secrets.push(secret);
        Ok(())
    }

    async fn refresh(&mut self) -> Result<(), Lost> {
        let Some(secret) = self.secrets.last() else { return Ok(()) };
        let token = self.wire.refresh(secret).await?;
        self.token = token.expect("a refresh token that was not given back");
        Ok(())
    }

    /// Gives one back; the last one is kept.
    async fn log_out(&mut self) -> Result<(), Lost> {
        if self.secrets.len() < 2 {
            return Ok(());
        }
        let secret = self.secrets.remove(0);
        let thing = Thing::RefreshToken { secret: secret.clone() };
        let ticket = self.journal.begin(vec![(thing, Effect::Set(Value::Absent))]);
        match self.wire.revoke(&secret).await {
            Ok(()) => self.journal.acknowledge(ticket),
            Err(lost) => return Err(lost),
        }
        Ok(())
    }

    fn holds(&self, repository: &'static str, content: &Content) -> bool {
        self.held.iter().any(|(held_in, held)| *held_in == repository && held == content)
    }
}

pub(crate) fn blob_is(
    repository: &'static str,
    content: &Content,
    value: Value,
) -> Vec<(Thing, Effect)> {
    vec![(Thing::Blob { repository, digest: content.digest }, Effect::Set(value))]
}

/// It is known from the answer alone, so it is as good as acknowledged.
fn note_login(journal: &Journal, secret: &str) {
    let thing = Thing::RefreshToken { secret: secret.to_owned() };
    journal.acknowledge(journal.begin(vec![(thing, Effect::Set(Value::Present))]));
}

/// The status of a yes, and that of a no that may come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expected(pub(crate) StatusCode, pub(crate) Option<StatusCode>);

pub(crate) const ACCEPTED: Expected = Expected(StatusCode::ACCEPTED, None);
pub(crate) const CANCELLED: Expected = Expected(StatusCode::NO_CONTENT, None);
pub(crate) const CREATED: Expected = Expected(StatusCode::CREATED, None);
const DELETED: Expected = Expected(StatusCode::ACCEPTED, Some(StatusCode::NOT_FOUND));
