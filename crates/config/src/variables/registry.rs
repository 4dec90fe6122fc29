//! The variables of what a registry tells and accepts.

use super::{Variable, variable};
use crate::Location;

/// In the order of the file.
pub(super) const VARIABLES: &[Variable] = &[
    variable!(
        "PORTPASS_REGISTRY_NOTIFICATIONS_EVENTS_INCLUDEREFERENCES",
        "REGISTRY_NOTIFICATIONS_EVENTS_INCLUDEREFERENCES",
        "registry.notifications.events.includereferences",
        |file, given| {
            let notifications = file.registry(given).notifications.get_or_insert_default();
            notifications.events.get_or_insert_default().includereferences = Some(given.yaml()?);
            Ok(())
        }
    ),
    variable!(
        "PORTPASS_REGISTRY_NOTIFICATIONS_ENDPOINTS",
        "REGISTRY_NOTIFICATIONS_ENDPOINTS",
        "registry.notifications.endpoints",
        |file, given| {
            let mut endpoints = given.list::<crate::registry::EndpointSection>()?;
            for endpoint in &mut endpoints {
                // A path of the shell, not of the file.
                for path in endpoint.value.paths().into_iter().flatten() {
                    path.place = Location::Variable(given.name);
                }
            }
            let notifications = file.registry(given).notifications.get_or_insert_default();
            notifications.endpoints = Some(endpoints);
            Ok(())
        }
    ),
    variable!(
        "PORTPASS_REGISTRY_VALIDATION_INDEXES",
        "registry.validation.indexes",
        |file, given| {
            let validation = file.registry(given).validation.get_or_insert_default();
            validation.indexes = Some(given.placed(given.yaml()?));
            Ok(())
        }
    ),
    variable!(
        "PORTPASS_REGISTRY_VALIDATION_MANIFESTS_INDEXES_PLATFORMS",
        "REGISTRY_VALIDATION_MANIFESTS_INDEXES_PLATFORMS",
        "registry.validation.manifests.indexes.platforms",
        |file, given| {
            let validation = file.registry(given).validation.get_or_insert_default();
            let indexes = &mut validation.manifests.get_or_insert_default().indexes;
            indexes.get_or_insert_default().platforms = Some(given.placed(given.yaml()?));
            Ok(())
        }
    ),
    variable!(
        "PORTPASS_REGISTRY_CATALOG_MAXENTRIES",
        "REGISTRY_CATALOG_MAXENTRIES",
        "registry.catalog.maxentries",
        |file, given| {
            let catalog = file.registry(given).catalog.get_or_insert_default();
            catalog.maxentries = Some(given.placed(given.yaml()?));
            Ok(())
        }
    ),
    variable!(
        "PORTPASS_REGISTRY_HTTP_UPLOAD_QUERY",
        "registry.http.upload_query",
        |file, given| {
            let http = file.registry(given).http.get_or_insert_default();
            http.upload_query = Some(given.yaml()?);
            Ok(())
        }
    ),
];
