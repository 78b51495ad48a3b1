//! Which machine it is: what does not change while it runs.

use super::{Root, field, fields};
use serde::{Deserialize, Serialize};

/// Features of CPUs that matter to these kernels, as `/proc/cpuinfo` names them: x86-64, then Arm.
const FEATURES: [&str; 16] = [
    "avx2",
    "f16c",
    "fma",
    "avx512f",
    "avx512bw",
    "avx512vl",
    "avx512_vnni",
    "avx_vnni",
    "amx_tile",
    "amx_int8",
    "neon",
    "asimd",
    "asimddp",
    "i8mm",
    "sve",
    "sve2",
];

/// The machine and its system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The board, where one is known by name.
    pub board: Option<String>,
    /// The CPU's name.
    pub cpu: Option<String>,
    /// Logical CPUs.
    pub cpus: Option<usize>,
    /// Physical cores, where the system tells; two threads of one core are two logical CPUs.
    pub cores: Option<usize>,
    /// Size of each level of cache that holds data, as the first CPU has it, in bytes.
    pub caches: Vec<u64>,
    /// Memory.
    pub memory_bytes: Option<u64>,
    /// Features that matter to the kernels.
    pub features: Vec<String>,
    /// Distribution or product.
    pub os: String,
    /// Version of the kernel.
    pub kernel: Option<String>,
    /// The architecture that this program was built for.
    pub arch: String,
}

impl Machine {
    /// Reads what the system under `root` tells.
    pub fn read(root: &Root) -> Self {
        let cpuinfo = root.text("proc/cpuinfo").unwrap_or_default();
        let release = root.text("etc/os-release").unwrap_or_default();
        let os = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
        Self {
            board: root.text("proc/device-tree/model"),
            cpu: cpu(&cpuinfo),
            cpus: Some(fields(&cpuinfo, "processor").count()).filter(|&count| count > 0),
            cores: cores(&cpuinfo),
            caches: caches(root),
            memory_bytes: memory(root),
            features: features(&cpuinfo),
            os: os.map_or_else(|| std::env::consts::OS.to_owned(), |name| name.trim_matches('"').to_owned()),
            kernel: root.text("proc/sys/kernel/osrelease"),
            arch: std::env::consts::ARCH.to_owned(),
        }
    }

    /// The machine in one line.
    pub fn line(&self) -> String {
        let counted = |count: Option<usize>, one: &str, many: &str| {
            count.map(|count| format!("{count} {}", if count == 1 { one } else { many }))
        };
        let cpu = self.cpu.clone().unwrap_or_else(|| format!("CPU not told, {}", self.arch));
        let parts = [
            self.board.clone(),
            Some(cpu),
            counted(self.cores.or(self.cpus), "core", "cores"),
            counted(
                self.cpus.filter(|&cpus| self.cores.is_some_and(|cores| cores < cpus)),
                "thread",
                "threads",
            ),
            self.memory_bytes.map(|bytes| format!("{:.1} GB memory", bytes as f64 / 1e9)),
            Some(self.os.clone()),
            self.kernel.as_ref().map(|kernel| format!("kernel {kernel}")),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// x86-64 names its CPUs; Arm has numbers for them.
fn cpu(cpuinfo: &str) -> Option<String> {
    let number = |name| {
        let text = field(cpuinfo, name)?;
        u32::from_str_radix(text.trim_start_matches("0x"), 16).ok()
    };
    let arm = || {
        let (maker, part) = (number("CPU implementer")?, number("CPU part")?);
        Some(match (maker, part) {
            (0x41, 0xd03) => "Cortex-A53".to_owned(),
            (0x41, 0xd05) => "Cortex-A55".to_owned(),
            (0x41, 0xd08) => "Cortex-A72".to_owned(),
            (0x41, 0xd0b) => "Cortex-A76".to_owned(),
            (0x41, 0xd0c) => "Neoverse-N1".to_owned(),
            (0x41, 0xd40) => "Neoverse-V1".to_owned(),
            (0x41, 0xd49) => "Neoverse-N2".to_owned(),
            (0x41, 0xd4f) => "Neoverse-V2".to_owned(),
            _ => format!("Arm implementer {maker:#x} part {part:#x}"),
        })
    };
    field(cpuinfo, "model name").map(str::to_owned).or_else(arm)
}

/// Different pairs of socket and core.
fn cores(cpuinfo: &str) -> Option<usize> {
    let sockets = fields(cpuinfo, "physical id");
    let mut pairs: Vec<_> = sockets.zip(fields(cpuinfo, "core id")).collect();
    pairs.sort_unstable();
    pairs.dedup();
    Some(pairs.len()).filter(|&count| count > 0)
}

fn caches(root: &Root) -> Vec<u64> {
    let folder = "sys/devices/system/cpu/cpu0/cache";
    let size = |index: &String| {
        let read = |name| root.text(&format!("{folder}/{index}/{name}"));
        if read("type")? == "Instruction" {
            return None;
        }
        let size = read("size")?;
        let (number, unit) = size.split_at(size.find(|c: char| !c.is_ascii_digit()).unwrap_or(size.len()));
        let unit = match unit {
            "" => 0,
            "K" => 10,
            "M" => 20,
            "G" => 30,
            _ => return None,
        };
        number.parse::<u64>().ok()?.checked_shl(unit)
    };
    root.names(folder, "index").iter().filter_map(size).collect()
}

fn memory(root: &Root) -> Option<u64> {
    let meminfo = root.text("proc/meminfo")?;
    let kib: u64 = field(&meminfo, "MemTotal")?.strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

fn features(cpuinfo: &str) -> Vec<String> {
    let listed = field(cpuinfo, "flags").or_else(|| field(cpuinfo, "Features")).unwrap_or_default();
    let has = |name: &&&str| listed.split_whitespace().any(|flag| flag == **name);
    FEATURES.iter().filter(has).map(|&name| name.to_owned()).collect()
}
