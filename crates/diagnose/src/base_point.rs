//! The key id that all elliptic keys of `docker_auth` 1.14 (`disable_legacy_key_id`) and distribution 3.0.0 share.

/// What is wrong with it.
pub(crate) fn summary(curve: &str) -> String {
    format!(
        "the key id is the thumbprint of the base point of {curve}, which is the same for every key of that curve: docker_auth 1.14 with `disable_legacy_key_id` computes it, and it identifies no key"
    )
}

/// The row of the known failures.
pub(crate) const ROW: &str = "F91";

/// Its two ways out; the third is distribution 2 with a libtrust id.
pub(crate) const FIX: &str = "either sign with an RSA key, because its id is right on both sides: docker_auth's `certificate` and `key`, and the registry's `rootcertbundle`. Or give distribution 3 the key as a JWK set under this very id, `auth: token: jwks`, with the `\"kid\"` of the token. With distribution 2.8, remove `disable_legacy_key_id` from docker_auth's configuration";
