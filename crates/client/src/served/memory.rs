//! Credentials in memory.

use std::sync::Mutex;

use async_trait::async_trait;

use crate::{
    credentials::{Credential, Credentials, CredentialsError, Found, Place},
    host::Host,
};

/// A keeper of one credential.
#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<Option<Credential>>);

impl Memory {
    pub(crate) fn kept(&self) -> Option<Credential> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn keep(&self, credential: Credential) {
        *self.0.lock().unwrap() = Some(credential);
    }
}

pub(crate) const MEMORY: Place = Place::Given("memory");

#[async_trait]
impl Credentials for Memory {
    async fn get(
        &self,
        _host: &Host,
        _repository: Option<&str>,
    ) -> Result<Option<Found>, CredentialsError> {
        Ok(self.kept().map(|credential| Found { credential, place: MEMORY }))
    }

    async fn store(
        &self,
        _host: &Host,
        credential: &Credential,
    ) -> Result<Place, CredentialsError> {
        *self.0.lock().unwrap() = Some(credential.clone());
        Ok(MEMORY)
    }

    async fn erase(&self, _host: &Host) -> Result<Vec<Place>, CredentialsError> {
        Ok(self.0.lock().unwrap().take().map(|_| MEMORY).into_iter().collect())
    }
}
