//! What is known to go wrong, in a few words each. Several of them look alike from outside, and then a finding
//! names them all.

/// What a row of the catalogue is about.
pub(super) fn what(row: &str) -> Option<&'static str> {
    ROWS.iter().find(|(known, _)| *known == row).map(|(_, what)| *what)
}

/// Every row: an id that never changes, and what is wrong.
pub(super) const ROWS: &[(&str, &str)] = &[
    ("F01", "the client cannot resolve the name of the registry or of the token service"),
    ("F02", "the realm is `localhost`, copied from an example"),
    ("F03", "the realm lacks the public port"),
    ("F04", "the realm is http, although a proxy in front speaks TLS"),
    ("F05", "a firewall or a proxy blocks the connection to the token service"),
    ("F06", "a company's proxy responds instead of the registry"),
    ("F07", "the registry's authority is not trusted"),
    ("F08", "the token service's authority is not trusted, but the registry's is"),
    ("F09", "the certificate is served without its intermediate"),
    ("F10", "the certificate has another name, is out of date, or has a form that clients refuse"),
    ("F11", "one side speaks TLS, the other plain HTTP"),
    ("F12", "the authority is in a folder that the client does not read"),
    ("F13", "an IPv6 address is written without brackets"),
    ("F14", "HTTP/2 gets a different response than HTTP/1.1"),
    ("F20", "`/v2/` is redirected"),
    ("F21", "the registry is below a path, but clients ask at the root"),
    ("F22", "`/v2/` returns a web page"),
    ("F23", "`/v2/` asks for no token, but repositories do"),
    ("F24", "the 401 has no `WWW-Authenticate`"),
    ("F25", "a proxy adds its own challenge for a password to the registry's"),
    ("F26", "another scheme comes before Bearer"),
    ("F27", "clients read the challenge differently because of its form"),
    ("F28", "the realm contains an unfilled template"),
    ("F29", "the realm is relative"),
    ("F30", "the realm is a private address, but the registry is not"),
    ("F31", "nodes behind one name send different challenges"),
    ("F32", "a mirror needs its own credentials"),
    ("F40", "the password is wrong, an access token is needed instead, or the account is locked"),
    ("F41", "a shell or an encoding changed the password"),
    ("F42", "POST fails with 403, and clients do not fall back to GET"),
    ("F43", "POST returns a web page"),
    ("F44", "the response to POST has `token` but no `access_token`"),
    ("F45", "a login page responds instead of the token service"),
    ("F46", "the realm's path is wrong"),
    ("F47", "only one of several `scope` parameters is read"),
    ("F48", "scopes separated by a space are refused"),
    ("F49", "an empty `scope` is refused"),
    ("F50", "a scope with a host in its name, or of an unknown type, is refused"),
    ("F51", "a scope is split wrongly if its name has a port or an escape"),
    ("F52", "a partial grant is an error"),
    ("F53", "`account` must be the user in `Authorization`"),
    ("F54", "a wrong password gets an anonymous token"),
    ("F55", "the token service limits the request rate"),
    ("F56", "`offline_token=true` makes the token service fail"),
    ("F57", "the token service does not recognize the `service`"),
    ("F58", "the token service does not accept the `client_id`, or requires one"),
    ("F59", "the token service is down for maintenance"),
    ("F60", "the response has the token under another key"),
    ("F61", "`expires_in` is a string or has a fraction"),
    ("F62", "`issued_at` is not an RFC 3339 date"),
    ("F63", "`expires_in` is too short, missing, or longer than the token's lifetime"),
    ("F64", "the response is too long, or has something before or after its JSON"),
    ("F65", "the refresh token does not work"),
    ("F66", "the refresh token works only once"),
    ("F70", "the token is not a JWT, is cut off, or has quotes"),
    ("F71", "the token has base64 padding"),
    ("F72", "`aud` is a list, and the registry is distribution 2"),
    ("F73", "`exp`, `nbf`, `iat` or `access` have the wrong type"),
    ("F74", "`exp` is missing"),
    ("F75", "`iss` is not the registry's `issuer`"),
    ("F76", "`aud` is not the registry's `service`"),
    ("F77", "the token service's clock is ahead, or `nbf` is now"),
    ("F78", "the registry's clock is wrong"),
    ("F79", "the token is longer than a proxy accepts"),
    ("F80", "the token names no key"),
    ("F81", "the `kid` is not computed from the key"),
    ("F82", "the `kid` is a libtrust fingerprint, and the registry is distribution 3"),
    ("F83", "the `kid` differs from the one in the JWK set"),
    ("F84", "the signing key is not the one in the bundle"),
    ("F85", "the bundle has the TLS certificate instead"),
    ("F86", "the bundle is not a list of PEM certificates"),
    ("F87", "the certificates in `x5c` form no chain, or have the wrong encoding"),
    ("F88", "the token's certificate has expired"),
    ("F89", "the registry does not accept the token's algorithm"),
    ("F90", "the registry's `signingalgorithms` keeps it from starting"),
    (
        "F91",
        "the `kid` of EC keys is computed wrongly: by docker_auth 1.14, or by an early distribution 3",
    ),
    ("F92", "nodes of the token service sign with different keys"),
    ("F100", "`access` is missing or empty"),
    ("F101", "the grant is in `scope`, not in `access`"),
    ("F102", "`access` has another name for the repository than the registry"),
    ("F103", "push is granted without pull"),
    ("F104", "no rule grants the request"),
    ("F105", "a mount is refused, and the response does not name the missing right"),
    ("F106", "a mount fails with 403"),
    ("F107", "the catalog is denied to users who may list it"),
    ("F108", "deletes are off, or not granted"),
    ("F109", "anonymous users can pull, but logged-in users cannot"),
    ("F120", "the Authorization header does not arrive"),
    ("F121", "an upload is sent to another scheme, host or port"),
    ("F122", "a proxy in front of the registry limits the size of bodies"),
    ("F123", "an upload outlives its token"),
    ("F124", "registries behind one name have different secrets or storages"),
    ("F125", "the storage is in the registry's domain, so clients send it the token"),
    ("F126", "a proxy returns web pages"),
    ("F127", "the refusal of an expired token has no `error=`"),
    ("F128", "an entry of `access` has the wrong type"),
    ("F140", "the credential helper is missing or does not work"),
    ("F141", "the credential is stored under another key"),
    ("F142", "a stale credential is sent, but none is needed"),
    ("F143", "an entry of the credential file cannot be read"),
    ("F144", "a password in the registry's htpasswd file is not bcrypt"),
    ("F145", "several credentials are stored for one host"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rows_are_in_order_and_each_there_once() {
        let numbers: Vec<u32> = ROWS.iter().map(|(row, _)| row[1..].parse().unwrap()).collect();
        assert_eq!(numbers.len(), 102);
        assert!(numbers.is_sorted_by(|one, other| one < other));
        assert_eq!(what("F60"), Some("the response has the token under another key"));
    }
}
