//! Where the region of a session is (spec section 5), for peers that a test plays.

use netipc::{Endpoint, Profile};
use netipc_proto::names::{ObjectKind, ServiceName, WindowsSession};
use netipc_sys::{FAMILY, Family, ObjectNames, RegionName};

pub(crate) fn region_name(endpoint: &Endpoint, auth_token: u64, session_id: u64) -> RegionName {
    if FAMILY != Family::Windows {
        let name = format!("{}-{session_id:016x}.ipcshm", endpoint.service());
        return RegionName::File(endpoint.run_dir().join(name));
    }
    let service = &ServiceName::new(endpoint.service()).expect("a good name");
    let run_dir = endpoint.run_dir().as_os_str().as_encoded_bytes();
    let profile = Profile::SHM_HYBRID;
    let session = WindowsSession { run_dir, service, auth_token, profile, session_id };
    let object = |kind| session.object_name(kind).expect("not too long");
    RegionName::Objects(ObjectNames {
        profile: profile.bit(),
        mapping: object(ObjectKind::Mapping),
        events: Some([object(ObjectKind::RequestEvent), object(ObjectKind::ResponseEvent)]),
    })
}
