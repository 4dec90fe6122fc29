//! What is known to go wrong, in a few words each. Several of them look alike from outside, and then a finding
//! names them all.

/// What a row of the catalogue is about.
pub(super) fn what(row: &str) -> Option<&'static str> {
    ROWS.iter().find(|(known, _)| *known == row).map(|(_, what)| *what)
}

/// Every row: an id that never changes, and what is wrong.
pub(super) const ROWS: &[(&str, &str)] = &[
    ("F01", "the name of the registry or of the token service is unknown where the client is"),
    ("F02", "the realm is `localhost`, from a copied example"),
    ("F03", "the realm lacks the public port"),
    ("F04", "the realm is http behind a proxy that speaks TLS"),
    ("F05", "the way to the token service is closed, by a firewall or a proxy"),
    ("F06", "a company's proxy answers in the registry's place"),
    ("F07", "the registry's authority is not trusted"),
    ("F08", "the token service's authority is not trusted, the registry's is"),
    ("F09", "the certificate is served without its intermediate"),
    (
        "F10",
        "the certificate is for another name, out of its time, or of a form that clients refuse",
    ),
    ("F11", "one side speaks TLS, the other plain HTTP"),
    ("F12", "the authority is kept in a folder that the client does not look into"),
    ("F13", "an IPv6 address is written without brackets"),
    ("F14", "HTTP/2 is answered otherwise than HTTP/1.1"),
    ("F20", "`/v2/` is redirected"),
    ("F21", "the registry is below a path, and clients ask at the root"),
    ("F22", "`/v2/` is answered by a web page"),
    ("F23", "`/v2/` asks for nothing, and repositories do"),
    ("F24", "the 401 has no `WWW-Authenticate`"),
    ("F25", "a proxy asks for a password beside the registry's challenge"),
    ("F26", "another scheme stands before Bearer"),
    ("F27", "the challenge is written so that clients read it differently"),
    ("F28", "the realm is what is left of a template"),
    ("F29", "the realm is relative"),
    ("F30", "the realm is a private address, and the registry is not"),
    ("F31", "nodes behind one name ask for different things"),
    ("F32", "a mirror asks for credentials of its own"),
    ("F40", "the password is wrong, or an access token is asked for, or the account is locked"),
    ("F41", "a shell or an encoding has changed the password"),
    ("F42", "POST is answered with 403, and clients do not go on to GET"),
    ("F43", "POST is answered with a page"),
    ("F44", "POST is answered with `token` and without `access_token`"),
    ("F45", "a login page answers in the token service's place"),
    ("F46", "the realm's path is wrong"),
    ("F47", "of several `scope` parameters one counts"),
    ("F48", "scopes with a space between are refused"),
    ("F49", "an empty `scope` is refused"),
    ("F50", "a scope with a host in its name, or of an unknown type, is refused"),
    ("F51", "names with a port or an escape in the scope are split wrongly"),
    ("F52", "a partial grant is an error"),
    ("F53", "`account` has to be the Basic user"),
    ("F54", "a wrong password gets an anonymous token"),
    ("F55", "the token service limits the rate"),
    ("F56", "`offline_token=true` makes the token service fail"),
    ("F57", "the token service does not know the `service`"),
    ("F58", "the token service does not take the `client_id`, or wants one"),
    ("F59", "the token service is switched off for maintenance"),
    ("F60", "the answer has its token under another key"),
    ("F61", "`expires_in` is a text or has a fraction"),
    ("F62", "`issued_at` is no date of RFC 3339"),
    ("F63", "`expires_in` is too short, missing, or more than the token's life"),
    ("F64", "the answer is too long, or something stands around its JSON"),
    ("F65", "a refresh token is given that does not work"),
    ("F66", "a refresh token works once"),
    ("F70", "the token is no JWT, or is cut or quoted"),
    ("F71", "the token is padded base64"),
    ("F72", "`aud` is a list, and the registry is distribution 2"),
    ("F73", "`exp`, `nbf`, `iat` or `access` have the wrong type"),
    ("F74", "`exp` is missing"),
    ("F75", "`iss` is not the registry's `issuer`"),
    ("F76", "`aud` is not the registry's `service`"),
    ("F77", "the token service's clock is ahead, or `nbf` is now"),
    ("F78", "the registry's clock is wrong"),
    ("F79", "the token is longer than a proxy takes"),
    ("F80", "the token names no key"),
    ("F81", "the `kid` is computed from something else than the key"),
    ("F82", "the `kid` is of libtrust, and the registry is distribution 3"),
    ("F83", "the `kid` is another one in the JWKS"),
    ("F84", "the signing key is not the one in the bundle"),
    ("F85", "the bundle has the TLS certificate"),
    ("F86", "the bundle is no list of PEM certificates"),
    ("F87", "the certificates in `x5c` do not chain, or are encoded wrongly"),
    ("F88", "the token's certificate has expired"),
    ("F89", "the registry does not take the token's algorithm"),
    ("F90", "the registry's `signingalgorithms` stops it"),
    (
        "F91",
        "the `kid` of EC keys is computed wrongly: by docker_auth 1.14, or by an early distribution 3",
    ),
    ("F92", "nodes of the token service sign with different keys"),
    ("F100", "`access` is missing or empty"),
    ("F101", "the grant stands in `scope`, not in `access`"),
    ("F102", "`access` names the repository otherwise than the registry"),
    ("F103", "push is granted without pull"),
    ("F104", "no rule grants what is asked for"),
    ("F105", "a mount is refused for want of a right that the client is not told of"),
    ("F106", "a mount is answered with 403"),
    ("F107", "the catalog is denied to those who may list"),
    ("F108", "deletes are off, or not granted"),
    ("F109", "everybody may pull, but not those who log in"),
    ("F120", "the Authorization header does not arrive"),
    ("F121", "an upload is sent on to another scheme, host or port"),
    ("F122", "what stands in front of the registry limits bodies"),
    ("F123", "an upload outlives its token"),
    ("F124", "registries behind one name have different secrets or storages"),
    ("F125", "the storage gets the registry's token, for it has its domain"),
    ("F126", "a proxy answers with pages"),
    ("F127", "an expired token is refused without `error=`"),
    ("F128", "an entry of `access` has the wrong type"),
    ("F140", "the credential helper is missing or does not work"),
    ("F141", "the credential is kept under another key"),
    ("F142", "a stale credential is sent where none is needed"),
    ("F143", "an entry of the credential file cannot be read"),
    ("F144", "a password in the registry's htpasswd file is not bcrypt"),
    ("F145", "several credentials are kept for one host"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rows_are_in_order_and_each_there_once() {
        let numbers: Vec<u32> = ROWS.iter().map(|(row, _)| row[1..].parse().unwrap()).collect();
        assert_eq!(numbers.len(), 102);
        assert!(numbers.is_sorted_by(|one, other| one < other));
        assert_eq!(what("F60"), Some("the answer has its token under another key"));
    }
}
