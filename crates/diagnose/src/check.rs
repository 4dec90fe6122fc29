//! The checks: 90 questions, in the order in which a request meets their subjects.

use std::fmt;

macro_rules! checks {
    ($($name:ident $id:literal $asserts:literal)*) => {
        /// One question, with an id that never changes. The order is that of the flow.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(missing_docs, reason = "each says what it asserts")]
        pub enum Check {
            $($name,)*
        }

        impl Check {
            /// Every check, in flow order.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// `PING-01`
            pub fn id(self) -> &'static str {
                match self { $(Self::$name => $id,)* }
            }

            /// What is true if it passes.
            pub fn asserts(self) -> &'static str {
                match self { $(Self::$name => $asserts,)* }
            }
        }
    };
}

checks! {
    Cfg01 "CFG-01" "the credential file can be read"
    Cfg02 "CFG-02" "a credential is stored for this host"
    Cfg03 "CFG-03" "the credential helper works"
    Cfg04 "CFG-04" "the environment sets no proxy for the registry"
    Cfg05 "CFG-05" "certificates are stored for this host"
    Net01 "NET-01" "the registry's name resolves"
    Net02 "NET-02" "every address accepts connections"
    Net03 "NET-03" "both sides speak TLS, or neither does"
    Net04 "NET-04" "the registry's certificate is trusted"
    Net05 "NET-05" "the token service can be reached, and its certificate is trusted"
    Net06 "NET-06" "HTTP/1.1 and HTTP/2 get the same response"
    Net07 "NET-07" "the clocks agree"
    Ping01 "PING-01" "`/v2/` asks for credentials"
    Ping02 "PING-02" "`/v2/` is not redirected"
    Ping03 "PING-03" "a registry responds at `/v2/`"
    Ping04 "PING-04" "the 401 has a challenge, for GET and HEAD"
    Ping05 "PING-05" "every connection gets the same response"
    Chal01 "CHAL-01" "there is one challenge, and it is Bearer"
    Chal02 "CHAL-02" "all clients read the challenge the same way"
    Chal03 "CHAL-03" "the realm is an absolute URL"
    Chal04 "CHAL-04" "the realm is HTTPS if the registry is"
    Chal05 "CHAL-05" "the realm is an address that clients can reach"
    Chal06 "CHAL-06" "the realm has the right port"
    Chal07 "CHAL-07" "the challenge names a service"
    Chal08 "CHAL-08" "the challenge for a repository names its scope"
    Chal09 "CHAL-09" "realm and service are the same for all paths"
    Tok01 "TOK-01" "the token service responds to anonymous requests"
    Tok02 "TOK-02" "the token service accepts `docker login`"
    Tok03 "TOK-03" "the token service accepts the scope of a pull"
    Tok04 "TOK-04" "POST with a password works, or clients can fall back to GET"
    Tok05 "TOK-05" "an invalid POST is refused in JSON"
    Tok06 "TOK-06" "several scopes are granted together"
    Tok07 "TOK-07" "empty and unknown scopes and parameters are ignored"
    Tok08 "TOK-08" "a partial grant is no error"
    Tok09 "TOK-09" "the token service sends no redirect and no web page"
    Tok10 "TOK-10" "a wrong password is refused"
    Tok11 "TOK-11" "the token service responds in time"
    Tok12 "TOK-12" "a token is for the requested service"
    Resp01 "RESP-01" "the response is one JSON object"
    Resp02 "RESP-02" "the response is short enough"
    Resp03 "RESP-03" "the response has a token"
    Resp04 "RESP-04" "`token` and `access_token` are both present, and equal"
    Resp05 "RESP-05" "`expires_in` is an integer of 60 or more"
    Resp06 "RESP-06" "`issued_at` is a date of RFC 3339, or absent"
    Resp07 "RESP-07" "a refresh token works if the token service gives one"
    Jwt01 "JWT-01" "the token has the three parts of a JWT"
    Jwt02 "JWT-02" "the token has no padding, and nothing around it"
    Jwt03 "JWT-03" "registries accept its algorithm"
    Jwt04 "JWT-04" "it names its key"
    Jwt05 "JWT-05" "its key id has the form that this registry expects"
    Jwt06 "JWT-06" "its certificates are valid"
    Jwt07 "JWT-07" "its claims have the right types"
    Jwt08 "JWT-08" "it is short enough for proxies"
    Clm01 "CLM-01" "`aud` is the service"
    Clm02 "CLM-02" "`iss` is the issuer"
    Clm03 "CLM-03" "it is already valid"
    Clm04 "CLM-04" "it has not expired, and lives as long as `expires_in` says"
    Clm05 "CLM-05" "`sub` is the account that asked"
    Key01 "KEY-01" "the trusted keys can be read"
    Key02 "KEY-02" "the token's key is trusted"
    Key03 "KEY-03" "its signature is valid"
    Key04 "KEY-04" "the bundle has the token service's certificate, not a TLS one"
    Key05 "KEY-05" "the token service's key is in the bundle"
    Key06 "KEY-06" "what the registry's responses tell about its keys"
    Key07 "KEY-07" "the certificates are valid for another month"
    Acc01 "ACC-01" "everything requested is granted"
    Acc02 "ACC-02" "`access` names the repository as the registry does"
    Acc03 "ACC-03" "push is granted only together with pull"
    Acc04 "ACC-04" "the grant is in `access`"
    Acc05 "ACC-05" "nothing is granted that was not requested"
    Use01 "USE-01" "the registry receives the Authorization header"
    Use02 "USE-02" "the registry accepts the token"
    Use03 "USE-03" "the registry accepts the token for the repository"
    Use04 "USE-04" "which registry it resembles"
    Use05 "USE-05" "a token that lacks a scope is refused with that scope"
    Use06 "USE-06" "the registry calls an expired token invalid"
    Ops01 "OPS-01" "HEAD and GET agree"
    Ops02 "OPS-02" "blobs can be fetched, also after a redirect"
    Ops03 "OPS-03" "an upload stays on the registry's host"
    Ops04 "OPS-04" "a blob can be pushed and deleted"
    Ops05 "OPS-05" "a mount never fails with 403"
    Ops06 "OPS-06" "uploads work over several connections"
    Ops07 "OPS-07" "a body of 2 MB gets through"
    Ops08 "OPS-08" "a pull that works without credentials works with them"
    Ops09 "OPS-09" "the catalog requires its scope"
    Ops10 "OPS-10" "a slow upload continues after its token expires"
    Exp01 "EXP-01" "a token lives long enough"
    Exp02 "EXP-02" "the refresh token works more than once"
    Exp03 "EXP-03" "the refresh token works for other scopes"
    Exp04 "EXP-04" "you get a new token after the old one expires"
}

impl Check {
    /// Which part of the flow it is about.
    pub fn stage(self) -> Stage {
        let group = self.id().split('-').next().unwrap_or_default();
        let known = Stage::ALL.iter().find(|stage| stage.groups().contains(&group));
        known.copied().unwrap_or(Stage::Registry)
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

/// A step of the flow, as people see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Files and settings of this machine.
    Local,
    /// The network, to the registry and to its token service.
    Network,
    /// The registry's response without credentials.
    Challenge,
    /// The token service.
    TokenService,
    /// The token itself.
    Token,
    /// The registry's response to the token.
    Registry,
}

impl Stage {
    /// In flow order.
    pub const ALL: &[Self] = &[
        Self::Local,
        Self::Network,
        Self::Challenge,
        Self::TokenService,
        Self::Token,
        Self::Registry,
    ];

    /// One or two words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Local => "this machine",
            Self::Network => "network",
            Self::Challenge => "challenge",
            Self::TokenService => "token service",
            Self::Token => "token",
            Self::Registry => "registry",
        }
    }

    fn groups(self) -> &'static [&'static str] {
        match self {
            Self::Local => &["CFG"],
            Self::Network => &["NET"],
            Self::Challenge => &["PING", "CHAL"],
            Self::TokenService => &["TOK", "RESP"],
            Self::Token => &["JWT", "CLM", "KEY", "ACC"],
            Self::Registry => &["USE", "OPS", "EXP"],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_ninety_checks_with_ids_of_their_own() {
        let mut ids: Vec<&str> = Check::ALL.iter().map(|check| check.id()).collect();
        assert_eq!(ids.len(), 90);
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 90);
        assert!(Check::ALL.is_sorted());
    }

    #[test]
    fn every_check_belongs_to_a_stage() {
        for check in Check::ALL {
            let group = check.id().split('-').next().unwrap();
            assert!(check.stage().groups().contains(&group), "{check}");
        }
    }
}
