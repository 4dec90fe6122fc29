//! Token requests, counted for their address when they come and for their account once it is proved.

use std::time::SystemTime;

use portpass_password::limits::{RateExceeded, RequestIdentity, RequestRates};
use secrecy::ExposeSecret;

use crate::{
    request::{Credential, Leg, TokenRequest},
    service::TokenError,
    subject::Account,
};

/// Whether the address may ask once more.
pub(super) fn admit(
    rates: &RequestRates,
    request: &TokenRequest,
    now: SystemTime,
) -> Result<(), RateExceeded> {
    if rates.are_off() {
        return Ok(());
    }
    with_identity(request, |identity| rates.admit(identity, now))
}

/// Whether the account may.
pub(super) fn admit_account(
    rates: &RequestRates,
    account: &Account,
    now: SystemTime,
) -> Result<(), RateExceeded> {
    let id = [account.source.as_str().as_bytes(), account.id.as_str().as_bytes()];
    rates.admit_account(&id, now)
}

/// After a refusal by POST containerd asks once more by GET (T2, TP7).
pub(super) fn refused(
    rates: &RequestRates,
    request: &TokenRequest,
    error: &TokenError,
    now: SystemTime,
) {
    let by_rate = matches!(error, TokenError::Rate(_) | TokenError::Limited(_));
    if request.leg == Leg::Post && !by_rate && !rates.are_off() {
        with_identity(request, |identity| rates.refused(identity, now));
    }
}

fn with_identity<T>(request: &TokenRequest, use_it: impl FnOnce(RequestIdentity<'_>) -> T) -> T {
    let requested = request.requested.to_string();
    let (who, secret) = match &request.credential {
        Credential::Anonymous => ("", ""),
        Credential::Password(login) => (login.account.as_str(), login.password.expose_secret()),
        Credential::Token(login) => (login.account.as_str(), login.token.expose()),
        Credential::Exchange(token) => ("", token.expose()),
        Credential::Machine(login) => (login.account.as_str(), login.secret.expose()),
        Credential::Refresh(secret) => ("", secret.expose()),
    };
    let fields = [who, secret, request.service.name.as_str(), &requested].map(str::as_bytes);
    use_it(RequestIdentity { address: request.client.address, fields: &fields })
}
