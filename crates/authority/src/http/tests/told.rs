//! What a source of accounts is told beside the credentials.

use std::net::IpAddr;

use portpass_protocol::origin::UnnamedClient;

use super::*;

#[tokio::test]
async fn a_source_is_told_the_registry_and_the_address_and_never_a_proxys() {
    let fixture = Fixture::new().await;
    let address = IpAddr::from([192, 0, 2, 7]);
    for (service, client, unnamed, told) in [
        ("registry", Some(address), false, Some(address)),
        ("other", None, false, None),
        // It is the address of a proxy that does not say for whom it asks.
        ("other", Some(address), true, None),
    ] {
        let mut request = with_basic(request("GET", &format!("service={service}")), "ann:secret");
        if let Some(address) = client {
            request.extensions_mut().insert(ClientAddress(address));
        }
        if unnamed {
            request.extensions_mut().insert(UnnamedClient);
        }
        assert_eq!(send(&fixture, request).await.status, 200);
        assert_eq!(fixture.accounts.last_origin(), Some((service.to_owned(), told)));
    }
}
