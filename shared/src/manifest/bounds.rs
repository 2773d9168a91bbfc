//! How much of everything a manifest may hold. Every length and count has its bound here, so that no release
//! makes a node's memory, its container specs or its reports grow without limit.

/// Largest manifest text, in bytes.
pub const TEXT_MAX: usize = 1 << 20;
/// Deepest nesting of a manifest text; the format itself needs nine levels.
pub const DEPTH_MAX: usize = 64;
/// Most values of a manifest text, aliases written out.
pub const NODES_MAX: usize = 50_000;
/// Most bytes of scalars of a manifest text, aliases written out.
pub const EXPANDED_MAX: usize = 4 * TEXT_MAX;
/// Most problems that one answer names.
pub const PROBLEMS_MAX: usize = 50;

/// Most services of one app.
pub const SERVICES_MAX: usize = 64;
/// Most volumes, configs or secrets of one app, each.
pub const SHARED_MAX: usize = 64;
/// Largest config, in bytes.
pub const CONFIG_MAX: usize = 256 << 10;
/// All configs of one app together, in bytes; a release stays below [`crate::release::RELEASE_MAX`].
pub const CONFIGS_TOTAL_MAX: usize = 1 << 20;

/// Longest version, in bytes.
pub const VERSION_MAX: usize = 64;
/// Longest description, in bytes.
pub const DESCRIPTION_MAX: usize = 1024;
/// Most labels of an app or a service.
pub const LABELS_MAX: usize = 64;
/// Longest key of a label, and longest value of an app's label, in bytes.
pub const LABEL_MAX: usize = 253;
/// Longest value of a service's label, in bytes: other tools keep whole rules in them.
pub const SERVICE_LABEL_MAX: usize = 4096;

/// Longest image reference, in bytes.
pub const IMAGE_MAX: usize = 512;
/// Most words of a command, an entrypoint or a health check.
pub const ARGS_MAX: usize = 256;
/// Longest word of a command or value of the environment, in bytes; the kernel's own bound (`MAX_ARG_STRLEN`) is 128 KiB.
pub const ARG_MAX: usize = 32 << 10;
/// Most variables of one service.
pub const VARIABLES_MAX: usize = 256;
/// Longest name of a variable, in bytes.
pub const VARIABLE_NAME_MAX: usize = 256;
/// All names and values of one service's environment together, in bytes.
pub const ENVIRONMENT_MAX: usize = 128 << 10;
/// Most ports, mounts, devices, configs or secrets of one service, each.
pub const GRANTS_MAX: usize = 64;
/// Longest path, in bytes (`PATH_MAX` less its final NUL and room for the root file system's own path).
pub const PATH_MAX: usize = 1024;
/// Longest `user`, in bytes.
pub const USER_MAX: usize = 64;
/// Smallest memory limit, in bytes: Docker's own, below which runc cannot start a process.
pub const MEMORY_MIN: u64 = 6 << 20;
/// Largest size of memory limit or tmpfs, in bytes: 1 PiB, so that sums never overflow.
pub const SIZE_MAX: u64 = 1 << 50;
/// Largest number of processors, in thousandths.
pub const MILLI_CPUS_MAX: u32 = 1024 * 1000;
/// Largest number of processes (`PID_MAX_LIMIT` of a 64-bit kernel).
pub const PIDS_MAX: u32 = 4 << 20;
/// Most failures in a row that a health check may wait for.
pub const RETRIES_MAX: u32 = 1000;
