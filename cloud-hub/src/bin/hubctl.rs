//! The operator's command line; all of it is in [`cloud_hub::cli`].

fn main() -> std::process::ExitCode {
    cloud_hub::cli::main()
}
