//! Mints a token that the registry `distribution` accepts, versions 2.x and 3.x:
//!
//! ```text
//! openssl ecparam -name prime256v1 -genkey -noout -out key.pem
//! openssl req -x509 -new -key key.pem -subj /CN=tokens -days 365 -out certificate.pem
//! cargo run -p portpass-token --example mint_for_distribution -- \
//!     key.pem certificate.pem ISSUER SERVICE repository:team/app:pull,push
//! ```
//!
//! The registry has this in its configuration:
//!
//! ```yaml
//! auth:
//!   token: { realm: https://…, issuer: ISSUER, service: SERVICE, rootcertbundle: certificate.pem }
//! ```

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::{error::Error, fs, time::Duration};

use portpass_token::{
    Audience, CertificateChain, Claims, Clock as _, KeyIdForm, Minter, SigningKey, SystemClock,
};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [key, certificate, issuer, service, scope] = arguments.as_slice() else {
        return Err("usage: mint_for_distribution KEY CERTIFICATE ISSUER SERVICE SCOPE".into());
    };
    // An EC key signs ES256, an RSA key RS256. Distribution 2.x knows no EdDSA.
    let chain = CertificateChain::from_pem(&fs::read(certificate)?)?;
    let key = SigningKey::from_pem(fs::read(key)?, None)?.with_chain(chain)?;

    let now = SystemClock.now();
    let claims = Claims {
        // `iss` and `aud` are what the registry's configuration has, letter for letter.
        issuer: issuer.as_str().into(),
        // One service is a plain string in `aud`: distribution 2.x reads no list.
        audience: Audience::one(service.as_str().into()),
        // The account. It stands in the registry's log.
        subject: "example".to_owned(),
        // The times are whole seconds. Distribution forgives clocks that differ by a minute.
        expires: (now + Duration::from_mins(5)).into(),
        not_before: Some(now.into()),
        issued_at: Some(now.into()),
        // Neither version looks at `jti`.
        id: None,
        // What the token grants. No entries are a token that is good for `/v2/` alone.
        access: scope.parse()?,
    };

    // How the token names its key decides whether distribution finds it:
    //
    // - `X5c`: the token brings its certificates. 2.x and 3.x check them against `rootcertbundle`.
    // - `Rfc7638`: the `kid` is the thumbprint. Only 3.x finds it, in `rootcertbundle` or `jwks`.
    // - `Libtrust`: the `kid` is libtrust's fingerprint. Only 2.x finds it.
    println!("{}", Minter::mint(&key, KeyIdForm::X5c, &claims)?);
    Ok(())
}
