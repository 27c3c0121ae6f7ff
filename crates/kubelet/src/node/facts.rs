//! What is known about the machine.

use std::net::{IpAddr, UdpSocket};
use std::path::Path;

use crate::context::{Capacity, Context};
use crate::runtime::ImageSummary;

/// Upstream's `nodeStatusMaxImages`.
const IMAGES_MAX: usize = 50;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The host name.
    pub hostname: String,
    /// The node's address.
    pub ip: String,
    /// Resources.
    pub capacity: Capacity,
    /// Most pods.
    pub max_pods: u32,
    /// `/etc/machine-id`
    pub machine_id: String,
    /// The firmware's id.
    pub system_uuid: String,
    /// This boot's id.
    pub boot_id: String,
    /// `uname -r`
    pub kernel: String,
    /// The host's system.
    pub os_image: String,
    /// `docker://20.10.24`
    pub runtime: String,
    /// The server's port.
    pub port: u16,
    /// Images, the largest first.
    pub images: Vec<ImageSummary>,
}

fn file(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

impl Facts {
    /// Reads them.
    pub async fn read(context: &Context) -> Self {
        let info = context.runtime.info().await.unwrap_or_default();
        let kernel = nix::sys::utsname::uname().map(|u| u.release().to_string_lossy().into_owned());
        Self {
            hostname: hostname().unwrap_or_else(|| context.owner.node.clone()),
            ip: context.node_ip.to_string(),
            capacity: context.capacity,
            max_pods: context.config.max_pods,
            machine_id: file("/etc/machine-id"),
            system_uuid: file("/sys/class/dmi/id/product_uuid"),
            boot_id: file("/proc/sys/kernel/random/boot_id"),
            kernel: kernel.unwrap_or_default(),
            os_image: info.operating_system,
            runtime: format!("docker://{}", info.version),
            port: context.config.port,
            images: Vec::new(),
        }
    }

    /// The images that are present.
    pub async fn refresh_images(&mut self, context: &Context) {
        match context.runtime.images().await {
            Ok(mut images) => {
                images.sort_by_key(|i| std::cmp::Reverse(i.size));
                images.truncate(IMAGES_MAX);
                self.images = images;
            }
            Err(e) => tracing::debug!("cannot list images: {e}"),
        }
    }
}

/// The host name, in lower case as node names must be.
pub fn hostname() -> Option<String> {
    nix::unistd::gethostname().ok()?.into_string().ok().map(|name| name.trim().to_lowercase())
}

/// The address that the default route leaves from, else the first that is not loopback. Sends nothing.
pub fn default_ip() -> Option<IpAddr> {
    let by_route = || {
        let socket = UdpSocket::bind(("0.0.0.0", 0)).ok()?;
        socket.connect(("192.0.2.1", 9)).ok()?;
        socket.local_addr().ok().map(|a| a.ip())
    };
    by_route().filter(|ip| !ip.is_loopback() && !ip.is_unspecified()).or_else(|| {
        let mut all = nix::ifaddrs::getifaddrs().ok()?;
        all.find_map(|entry| {
            let ip = entry.address?.as_sockaddr_in()?.ip();
            (!ip.is_loopback()).then_some(IpAddr::V4(ip))
        })
    })
}

/// CPUs, memory and disk.
pub fn capacity(root_dir: &Path) -> Capacity {
    let meminfo = file("/proc/meminfo");
    let total = meminfo.lines().find_map(|l| l.strip_prefix("MemTotal:"));
    let kib: i64 =
        total.and_then(|t| t.trim().trim_end_matches(" kB").trim().parse().ok()).unwrap_or_default();
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let storage = nix::sys::statvfs::statvfs(root_dir).map(|s| s.blocks() * s.fragment_size());
    Capacity {
        cpu_milli: i64::try_from(cpus).unwrap_or(1) * 1000,
        memory: kib * 1024,
        storage: storage.ok().and_then(|s| i64::try_from(s).ok()).unwrap_or_default(),
    }
}
