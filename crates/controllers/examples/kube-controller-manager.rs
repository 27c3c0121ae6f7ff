//! The controllers as a process of their own, for development.

fn main() -> std::process::ExitCode {
    let options: controllers::Options =
        component_base::flags::parse("kube-controller-manager", std::env::args_os().skip(1));
    component_base::logs::init(options.common.v);
    let Ok(runtime) = tokio::runtime::Builder::new_multi_thread().enable_all().build() else {
        return std::process::ExitCode::FAILURE;
    };
    runtime.block_on(async {
        match controllers::run(options, component_base::signals::stop_token()).await {
            Ok(()) => std::process::ExitCode::SUCCESS,
            Err(err) => {
                eprintln!("{err}");
                std::process::ExitCode::FAILURE
            }
        }
    })
}
