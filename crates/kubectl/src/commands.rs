//! The command table: names, flags, what runs. Parsing, help, suggestions and completion come from here.
//!
//! The order is that in which v1.10 registered its commands; suggestions for unknown ones follow it.

use crate::cli::Kind::{Array, Bool, Duration, Int, Optional, Slice, Str};
use crate::cli::{Command, Flag, flag, short};
use crate::cmd;

/// Flags of all commands.
pub(crate) const GLOBAL: &[Flag] = &[
    flag("alsologtostderr", Bool, "false", "log to standard error as well as files"),
    flag("as", Str, "", "Username to impersonate for the operation"),
    flag("as-group", Array, "", "Group to impersonate for the operation, may be repeated"),
    flag("cache-dir", Str, "", "Accepted for compatibility; nothing is cached"),
    flag("certificate-authority", Str, "", "Path to a cert file for the certificate authority"),
    flag("client-certificate", Str, "", "Path to a client certificate file for TLS"),
    flag("client-key", Str, "", "Path to a client key file for TLS"),
    flag("cluster", Str, "", "The name of the kubeconfig cluster to use"),
    flag("context", Str, "", "The name of the kubeconfig context to use"),
    flag("insecure-skip-tls-verify", Bool, "false", "Do not check the server's certificate"),
    flag("kubeconfig", Str, "", "Path to the kubeconfig file to use"),
    flag("log-dir", Str, "", "Accepted for compatibility"),
    flag("logtostderr", Bool, "true", "log to standard error instead of files"),
    flag("match-server-version", Bool, "false", "Accepted for compatibility"),
    short('n', "namespace", Str, "", "The namespace of this request"),
    flag("password", Str, "", "Password for basic authentication to the API server"),
    flag("request-timeout", Str, "0", "How long to wait for one request"),
    short('s', "server", Str, "", "The address and port of the Kubernetes API server"),
    flag("stderrthreshold", Str, "2", "Accepted for compatibility"),
    flag("tls-server-name", Str, "", "The name in the server's certificate"),
    flag("token", Str, "", "Bearer token for authentication to the API server"),
    flag("user", Str, "", "The name of the kubeconfig user to use"),
    flag("username", Str, "", "Username for basic authentication to the API server"),
    short('v', "v", Int, "0", "log level: 6 shows requests, 8 their bodies"),
    flag("vmodule", Str, "", "Accepted for compatibility"),
];

const FILES: &[Flag] = &[
    short('f', "filename", Slice, "", "Files, folders or - that hold the objects"),
    short('R', "recursive", Bool, "false", "Look into folders below the given ones"),
];
const OUTPUT: &[Flag] = &[
    short('o', "output", Str, "", "Output format: json|yaml|wide|name|jsonpath=…|custom-columns=…"),
    flag("template", Str, "", "Template or path to a template file"),
];
const NAME_OUTPUT: &[Flag] = &[short('o', "output", Str, "", "Output mode: \"name\" for shorter output")];
const DRY_RUN: &[Flag] = &[flag("dry-run", Optional("true"), "false", "Only print what would be sent")];
const RECORD: &[Flag] = &[flag("record", Bool, "false", "Note the command line at the object")];
const SELECTOR: &[Flag] = &[short('l', "selector", Str, "", "Labels to choose by, as in 'a=b,c!=d'")];
const ALL: &[Flag] = &[flag("all", Bool, "false", "All objects of the given types in the namespace")];
const FIELD_SELECTOR: &[Flag] = &[flag("field-selector", Str, "", "Fields to choose by")];
const ALL_NAMESPACES: &[Flag] = &[flag("all-namespaces", Bool, "false", "Objects of all namespaces")];
const UNINITIALIZED: &[Flag] = &[flag("include-uninitialized", Bool, "false", "Accepted for compatibility")];
const SAVE_CONFIG: &[Flag] = &[flag("save-config", Bool, "false", "Keep the configuration for apply")];
const VALIDATE: &[Flag] = &[
    flag("validate", Bool, "true", "Check the input against the server's schema"),
    flag("schema-cache-dir", Str, "", "Accepted for compatibility"),
    flag("openapi-validation", Bool, "true", "Accepted for compatibility"),
];
const TABLE: &[Flag] = &[
    flag("no-headers", Bool, "false", "Without the line of headers"),
    flag("show-labels", Bool, "false", "With labels as the last column"),
    flag("sort-by", Str, "", "JSONPath of the field to sort by"),
    short('a', "show-all", Bool, "true", "Accepted for compatibility"),
];
const OVERWRITE: &[Flag] = &[
    flag("overwrite", Bool, "false", "Replace values that are there"),
    flag("local", Bool, "false", "Do not ask the server"),
    flag("resource-version", Str, "", "Only if the object still has this version"),
];
const GENERATOR: &[Flag] = &[flag("generator", Str, "", "The name of the generator to use")];
const GRACE: &[Flag] = &[
    flag("grace-period", Int, "-1", "Seconds that pods get to end"),
    flag("force", Bool, "false", "At once, without waiting for pods to end"),
    flag("cascade", Bool, "true", "Also what the object owns"),
    flag("timeout", Duration, "0s", "How long to wait"),
];
const LOCAL: &[Flag] = &[flag("local", Bool, "false", "Do not ask the server")];
const CONTAINER: &[Flag] = &[short('c', "container", Str, "", "Container name")];
const SESSION: &[Flag] = &[
    short('i', "stdin", Bool, "false", "Pass standard input to the container"),
    short('t', "tty", Bool, "false", "Standard input is a terminal"),
    flag("pod-running-timeout", Duration, "1m0s", "How long to wait until a pod runs"),
];
const DATA: &[Flag] = &[
    flag("from-file", Array, "", "A file or folder, or key=file"),
    flag("from-literal", Array, "", "key=value"),
    flag("from-env-file", Str, "", "A file with lines of key=value"),
    flag("append-hash", Bool, "false", "Accepted for compatibility"),
];
const RULES: &[Flag] = &[
    flag("verb", Slice, "", "What may be done"),
    flag("resource", Slice, "", "With what"),
    flag("resource-name", Array, "", "With which ones"),
];
const SUBJECTS: &[Flag] = &[
    flag("user", Array, "", "Users"),
    flag("group", Array, "", "Groups"),
    flag("serviceaccount", Array, "", "Service accounts, as namespace:name"),
];
const TCP: &[Flag] = &[flag("tcp", Slice, "", "Port pairs, as port:targetPort")];
const SERVICE: &[Flag] = &[
    flag("port", Str, "", "The port of the service"),
    flag("target-port", Str, "", "The port of the container, number or name"),
    flag("protocol", Str, "", "The protocol"),
    flag("type", Str, "", "ClusterIP, NodePort, LoadBalancer or ExternalName"),
    flag("name", Str, "", "The name of the service"),
    flag("cluster-ip", Str, "", "The cluster IP, or None"),
    flag("external-ip", Str, "", "An address that is routed to the cluster"),
    flag("load-balancer-ip", Str, "", "The address for the load balancer"),
    flag("session-affinity", Str, "", "None or ClientIP"),
    flag("overrides", Str, "", "JSON to merge into the object"),
    flag("container-port", Str, "", "Synonym for --target-port"),
    flag("create-external-load-balancer", Bool, "false", "Accepted for compatibility"),
];

/// A group of flags for a generator under `create`.
const CREATE: &[&[Flag]] = &[OUTPUT, DRY_RUN, SAVE_CONFIG, VALIDATE, GENERATOR, RECORD];

macro_rules! generator {
    ($name:literal, $aliases:expr, $help:literal, $flags:expr, $required:expr, $run:expr) => {
        Command {
            name: $name,
            aliases: $aliases,
            usage: "NAME",
            help: $help,
            flags: &[$flags, CREATE[0], CREATE[1], CREATE[2], CREATE[3], CREATE[4], CREATE[5]],
            required: $required,
            run: Some($run),
            ..Command::NEW
        }
    };
}

const CREATE_SERVICE: &[Command] = &[
    generator!(
        "clusterip",
        &[],
        "Create a ClusterIP service",
        &[TCP[0], flag("clusterip", Str, "", "The cluster IP, or None")],
        &[],
        cmd::create::service_cluster_ip
    ),
    generator!(
        "nodeport",
        &[],
        "Create a NodePort service",
        &[TCP[0], flag("node-port", Int, "0", "The port on the nodes")],
        &[],
        cmd::create::service_node_port
    ),
    generator!(
        "loadbalancer",
        &[],
        "Create a LoadBalancer service",
        TCP,
        &[],
        cmd::create::service_load_balancer
    ),
    generator!(
        "externalname",
        &[],
        "Create an ExternalName service",
        &[TCP[0], flag("external-name", Str, "", "The name outside")],
        &["external-name"],
        cmd::create::service_external_name
    ),
];

const CREATE_SECRET: &[Command] = &[
    generator!(
        "docker-registry",
        &[],
        "Create a secret for a registry",
        &[
            DATA[0],
            flag("docker-server", Str, "https://index.docker.io/v1/", "The registry"),
            flag("docker-username", Str, "", "User"),
            flag("docker-password", Str, "", "Password"),
            flag("docker-email", Str, "", "Email")
        ],
        &["docker-password", "docker-username"],
        cmd::create::secret_docker
    ),
    generator!(
        "tls",
        &[],
        "Create a TLS secret",
        &[flag("cert", Str, "", "The certificate"), flag("key", Str, "", "The key")],
        &[],
        cmd::create::secret_tls
    ),
    generator!(
        "generic",
        &[],
        "Create a secret from files or literals",
        &[DATA[0], DATA[1], DATA[2], DATA[3], flag("type", Str, "", "The type of the secret")],
        &[],
        cmd::create::secret_generic
    ),
];

const CREATE_ALL: &[Command] = &[
    generator!(
        "namespace",
        &["ns"],
        "Create a namespace with the specified name",
        &[],
        &[],
        cmd::create::namespace
    ),
    generator!(
        "quota",
        &["resourcequota"],
        "Create a quota with the specified name.",
        &[flag("hard", Str, "", "Amounts, as resource=value,…"), flag("scopes", Str, "", "Scopes")],
        &[],
        cmd::create::quota
    ),
    Command {
        name: "secret",
        help: "Create a secret using specified subcommand",
        sub: CREATE_SECRET,
        ..Command::NEW
    },
    generator!(
        "configmap",
        &["cm"],
        "Create a configmap from a local file, directory or literal value",
        DATA,
        &[],
        cmd::create::config_map
    ),
    generator!(
        "serviceaccount",
        &["sa"],
        "Create a service account with the specified name",
        &[],
        &[],
        cmd::create::service_account
    ),
    Command {
        name: "service",
        aliases: &["svc"],
        help: "Create a service using specified subcommand.",
        sub: CREATE_SERVICE,
        ..Command::NEW
    },
    generator!(
        "deployment",
        &["dep", "deploy"],
        "Create a deployment with the specified name.",
        &[flag("image", Slice, "", "Image names"), flag("replicas", Int, "1", "How many")],
        &["image"],
        cmd::create::deployment
    ),
    generator!(
        "clusterrole",
        &[],
        "Create a ClusterRole.",
        &[RULES[0], RULES[1], RULES[2], flag("non-resource-url", Slice, "", "Paths outside of resources")],
        &[],
        cmd::create::cluster_role
    ),
    generator!(
        "clusterrolebinding",
        &[],
        "Create a ClusterRoleBinding for a particular ClusterRole",
        &[SUBJECTS[0], SUBJECTS[1], SUBJECTS[2], flag("clusterrole", Str, "", "The role")],
        &["clusterrole"],
        cmd::create::cluster_role_binding
    ),
    generator!("role", &[], "Create a role with single rule.", RULES, &[], cmd::create::role),
    generator!(
        "rolebinding",
        &[],
        "Create a RoleBinding for a particular Role or ClusterRole",
        &[
            SUBJECTS[0],
            SUBJECTS[1],
            SUBJECTS[2],
            flag("role", Str, "", "The role"),
            flag("clusterrole", Str, "", "The cluster role")
        ],
        &[],
        cmd::create::role_binding
    ),
    generator!(
        "poddisruptionbudget",
        &["pdb"],
        "Create a pod disruption budget with the specified name.",
        &[
            flag("selector", Str, "", "Labels of the pods"),
            flag("min-available", Str, "", "How many must stay"),
            flag("max-unavailable", Str, "", "How many may go")
        ],
        &[],
        cmd::create::budget
    ),
    generator!(
        "priorityclass",
        &["pc"],
        "Create a priorityclass with the specified name.",
        &[
            flag("value", Int, "0", "The priority"),
            flag("global-default", Bool, "false", "For pods without a class"),
            flag("description", Str, "", "When to use it")
        ],
        &[],
        cmd::create::priority_class
    ),
    generator!(
        "job",
        &[],
        "Create a job with the specified name.",
        &[flag("from", Str, "", "A cron job to take it from"), flag("image", Str, "", "The image")],
        &[],
        cmd::create::job
    ),
];

const SET: &[Command] = &[
    Command {
        name: "image",
        usage: "(-f FILENAME | TYPE NAME) CONTAINER_NAME_1=CONTAINER_IMAGE_1 ... CONTAINER_NAME_N=CONTAINER_IMAGE_N",
        help: "Update image of a pod template",
        flags: &[FILES, OUTPUT, SELECTOR, ALL, LOCAL, DRY_RUN, RECORD, UNINITIALIZED],
        run: Some(cmd::set::image),
        ..Command::NEW
    },
    Command {
        name: "resources",
        usage: "(-f FILENAME | TYPE NAME) ([--limits=LIMITS & --requests=REQUESTS]",
        help: "Update resource requests/limits on objects with pod templates",
        flags: &[
            FILES,
            OUTPUT,
            SELECTOR,
            ALL,
            LOCAL,
            DRY_RUN,
            RECORD,
            UNINITIALIZED,
            &[
                flag("limits", Str, "", "Limits"),
                flag("requests", Str, "", "Requests"),
                short('c', "containers", Str, "*", "Containers"),
            ],
        ],
        run: Some(cmd::set::resources),
        ..Command::NEW
    },
    Command {
        name: "selector",
        usage: "(-f FILENAME | TYPE NAME) EXPRESSIONS [--resource-version=version]",
        help: "Set the selector on a resource",
        flags: &[FILES, OUTPUT, ALL, LOCAL, DRY_RUN, RECORD, UNINITIALIZED],
        run: Some(cmd::set::selector),
        ..Command::NEW
    },
    Command {
        name: "subject",
        usage: "(-f FILENAME | TYPE NAME) [--user=username] [--group=groupname] [--serviceaccount=namespace:serviceaccountname]",
        help: "Update User, Group or ServiceAccount in a RoleBinding/ClusterRoleBinding",
        flags: &[FILES, OUTPUT, SELECTOR, ALL, LOCAL, DRY_RUN, SUBJECTS, UNINITIALIZED],
        run: Some(cmd::set::subject),
        ..Command::NEW
    },
    Command {
        name: "serviceaccount",
        aliases: &["sa"],
        usage: "(-f FILENAME | TYPE NAME) SERVICE_ACCOUNT",
        help: "Update ServiceAccount of a resource",
        flags: &[FILES, OUTPUT, ALL, LOCAL, DRY_RUN, RECORD, UNINITIALIZED],
        run: Some(cmd::set::service_account),
        ..Command::NEW
    },
    Command {
        name: "env",
        usage: "RESOURCE/NAME KEY_1=VAL_1 ... KEY_N=VAL_N",
        help: "Update environment variables on a pod template",
        flags: &[
            FILES,
            OUTPUT,
            SELECTOR,
            ALL,
            LOCAL,
            DRY_RUN,
            RECORD,
            UNINITIALIZED,
            &[
                flag("list", Bool, "false", "Show them"),
                flag("resolve", Bool, "false", "Accepted for compatibility"),
                flag("from", Str, "", "A config map or secret to take them from"),
                flag("prefix", Str, "", "Put before their names"),
                flag("overwrite", Bool, "true", "Replace values that are there"),
                short('c', "containers", Str, "*", "Containers"),
                short('e', "env", Array, "", "key=value"),
            ],
        ],
        run: Some(cmd::set::env),
        ..Command::NEW
    },
];

const ROLLOUT: &[Command] = &[
    Command {
        name: "history",
        usage: "(TYPE NAME | TYPE/NAME) [flags]",
        help: "View rollout history",
        flags: &[FILES, &[flag("revision", Int, "0", "Details of this revision")]],
        run: Some(cmd::rollout::history),
        ..Command::NEW
    },
    Command {
        name: "pause",
        usage: "RESOURCE",
        help: "Mark the provided resource as paused",
        flags: &[FILES, NAME_OUTPUT, RECORD],
        run: Some(cmd::rollout::pause),
        ..Command::NEW
    },
    Command {
        name: "resume",
        usage: "RESOURCE",
        help: "Resume a paused resource",
        flags: &[FILES, NAME_OUTPUT, RECORD],
        run: Some(cmd::rollout::resume),
        ..Command::NEW
    },
    Command {
        name: "undo",
        usage: "(TYPE NAME | TYPE/NAME) [flags]",
        help: "Undo a previous rollout",
        flags: &[FILES, NAME_OUTPUT, DRY_RUN, &[flag("to-revision", Int, "0", "The revision to go back to")]],
        run: Some(cmd::rollout::undo),
        ..Command::NEW
    },
    Command {
        name: "status",
        usage: "(TYPE NAME | TYPE/NAME) [flags]",
        help: "Show the status of the rollout",
        flags: &[
            FILES,
            &[
                short('w', "watch", Bool, "true", "Wait for its end"),
                flag("revision", Int, "0", "The revision to watch"),
                flag("timeout", Duration, "0s", "How long to wait; zero for as long as it takes"),
            ],
        ],
        run: Some(cmd::rollout::status),
        ..Command::NEW
    },
    Command {
        name: "restart",
        usage: "RESOURCE",
        help: "Restart a resource",
        flags: &[FILES, NAME_OUTPUT, RECORD],
        run: Some(cmd::rollout::restart),
        ..Command::NEW
    },
];

const CONFIG: &[Command] = &[
    Command {
        name: "view",
        usage: "",
        help: "Display merged kubeconfig settings or a specified kubeconfig file",
        flags: &[
            OUTPUT,
            &[
                flag("flatten", Bool, "false", "Put files into the output"),
                flag("minify", Bool, "false", "Only what the current context needs"),
                flag("raw", Bool, "false", "Show keys"),
                flag("merge", Optional("true"), "true", "Accepted for compatibility"),
            ],
        ],
        run: Some(cmd::config::view),
        ..Command::NEW
    },
    Command {
        name: "set-cluster",
        usage: "NAME [--server=server] [--certificate-authority=path/to/certificate/authority] [--insecure-skip-tls-verify=true]",
        help: "Sets a cluster entry in kubeconfig",
        flags: &[&[
            flag("embed-certs", Optional("true"), "false", "Put the file into the kubeconfig"),
            flag("api-version", Str, "", "Accepted for compatibility"),
        ]],
        run: Some(cmd::config::set_cluster),
        ..Command::NEW
    },
    Command {
        name: "set-credentials",
        usage: "NAME [--client-certificate=path/to/certfile] [--client-key=path/to/keyfile] [--token=bearer_token] [--username=basic_user] [--password=basic_password] [--auth-provider=provider_name] [--auth-provider-arg=key=value]",
        help: "Sets a user entry in kubeconfig",
        flags: &[&[
            flag("embed-certs", Optional("true"), "false", "Put the files into the kubeconfig"),
            flag("auth-provider", Str, "", "The auth provider"),
            flag("auth-provider-arg", Slice, "", "Its arguments"),
        ]],
        run: Some(cmd::config::set_credentials),
        ..Command::NEW
    },
    Command {
        name: "set-context",
        usage: "NAME [--cluster=cluster_nickname] [--user=user_nickname] [--namespace=namespace]",
        help: "Sets a context entry in kubeconfig",
        flags: &[&[flag("current", Bool, "false", "The current context")]],
        run: Some(cmd::config::set_context),
        ..Command::NEW
    },
    Command {
        name: "set",
        usage: "PROPERTY_NAME PROPERTY_VALUE",
        help: "Sets an individual value in a kubeconfig file",
        flags: &[&[flag("set-raw-bytes", Optional("true"), "false", "The value is not base64 yet")]],
        run: Some(cmd::config::set_property),
        ..Command::NEW
    },
    Command {
        name: "unset",
        usage: "PROPERTY_NAME",
        help: "Unsets an individual value in a kubeconfig file",
        run: Some(cmd::config::unset_property),
        ..Command::NEW
    },
    Command {
        name: "current-context",
        usage: "",
        help: "Displays the current-context",
        run: Some(cmd::config::current_context),
        ..Command::NEW
    },
    Command {
        name: "use-context",
        aliases: &["use"],
        usage: "CONTEXT_NAME",
        help: "Sets the current-context in a kubeconfig file",
        run: Some(cmd::config::use_context),
        ..Command::NEW
    },
    Command {
        name: "get-contexts",
        usage: "[(-o|--output=)name)]",
        help: "Describe one or many contexts",
        flags: &[NAME_OUTPUT, &[flag("no-headers", Bool, "false", "Without the line of headers")]],
        run: Some(cmd::config::get_contexts),
        ..Command::NEW
    },
    Command {
        name: "get-clusters",
        usage: "",
        help: "Display clusters defined in the kubeconfig",
        run: Some(cmd::config::get_clusters),
        ..Command::NEW
    },
    Command {
        name: "delete-cluster",
        usage: "NAME",
        help: "Delete the specified cluster from the kubeconfig",
        run: Some(cmd::config::delete_cluster),
        ..Command::NEW
    },
    Command {
        name: "delete-context",
        usage: "NAME",
        help: "Delete the specified context from the kubeconfig",
        run: Some(cmd::config::delete_context),
        ..Command::NEW
    },
    Command {
        name: "rename-context",
        usage: "CONTEXT_NAME NEW_NAME",
        help: "Renames a context from the kubeconfig file.",
        run: Some(cmd::config::rename_context),
        ..Command::NEW
    },
];

const APPLY: &[Command] = &[
    Command {
        name: "view-last-applied",
        usage: "(TYPE [NAME | -l label] | TYPE/NAME | -f FILENAME)",
        help: "View latest last-applied-configuration annotations of a resource/object",
        flags: &[FILES, SELECTOR, ALL, OUTPUT],
        run: Some(cmd::apply::view_last_applied),
        ..Command::NEW
    },
    Command {
        name: "set-last-applied",
        usage: "-f FILENAME",
        help: "Set the last-applied-configuration annotation on a live object to match the contents of a file.",
        flags: &[
            FILES,
            DRY_RUN,
            NAME_OUTPUT,
            &[flag("create-annotation", Bool, "false", "Also when there was none")],
        ],
        required: &["filename"],
        run: Some(cmd::apply::set_last_applied),
        ..Command::NEW
    },
    Command {
        name: "edit-last-applied",
        usage: "(RESOURCE/NAME | -f FILENAME)",
        help: "Edit latest last-applied-configuration annotations of a resource/object",
        flags: &[FILES, OUTPUT],
        run: Some(cmd::apply::edit_last_applied),
        ..Command::NEW
    },
];

const AUTH: &[Command] = &[Command {
    name: "can-i",
    usage: "VERB [TYPE | TYPE/NAME | NONRESOURCEURL]",
    help: "Check whether an action is allowed",
    flags: &[
        ALL_NAMESPACES,
        &[
            short('q', "quiet", Bool, "false", "Only the exit code"),
            flag("subresource", Str, "", "Such as log or scale"),
        ],
    ],
    run: Some(cmd::auth::can_i),
    ..Command::NEW
}];

const TOP: &[Command] = &[
    Command {
        name: "node",
        aliases: &["nodes", "no"],
        usage: "[NAME | -l label]",
        help: "Display Resource (CPU/Memory/Storage) usage of nodes",
        flags: &[SELECTOR],
        run: Some(cmd::top::node),
        ..Command::NEW
    },
    Command {
        name: "pod",
        aliases: &["pods", "po"],
        usage: "[NAME | -l label]",
        help: "Display Resource (CPU/Memory/Storage) usage of pods",
        flags: &[
            SELECTOR,
            ALL_NAMESPACES,
            &[flag("containers", Bool, "false", "Accepted for compatibility")],
        ],
        run: Some(cmd::top::pod),
        ..Command::NEW
    },
];

/// kubectl.
pub(crate) const ROOT: Command = Command {
    name: "kubectl",
    help: "kubectl controls the Kubernetes cluster manager. ",
    sub: &[
        Command {
            name: "create",
            usage: "-f FILENAME",
            help: "Create a resource from a file or from stdin.",
            flags: &[
                FILES,
                SELECTOR,
                OUTPUT,
                DRY_RUN,
                SAVE_CONFIG,
                VALIDATE,
                RECORD,
                &[
                    flag("edit", Bool, "false", "Edit the objects before they are sent"),
                    flag("raw", Str, "", "Accepted for compatibility"),
                ],
            ],
            required: &["filename"],
            sub: CREATE_ALL,
            run: Some(cmd::create::run),
            ..Command::NEW
        },
        Command {
            name: "expose",
            usage: "(-f FILENAME | TYPE NAME) [--port=port] [--protocol=TCP|UDP] [--target-port=number-or-name] [--name=name] [--external-ip=external-ip-of-service] [--type=type]",
            help: "Take a replication controller, service, deployment or pod and expose it as a new Kubernetes Service",
            flags: &[
                FILES,
                OUTPUT,
                DRY_RUN,
                SAVE_CONFIG,
                RECORD,
                GENERATOR,
                SERVICE,
                &[
                    flag("selector", Str, "", "Labels of the pods"),
                    short('l', "labels", Str, "", "Labels of the service"),
                ],
            ],
            run: Some(cmd::expose::run),
            ..Command::NEW
        },
        Command {
            name: "run",
            usage: "NAME --image=image [--env=\"key=value\"] [--port=port] [--replicas=replicas] [--dry-run=bool] [--overrides=inline-json] [--command] -- [COMMAND] [args...]",
            help: "Run a particular image on the cluster",
            flags: &[OUTPUT, DRY_RUN, SAVE_CONFIG, RECORD, GENERATOR, CASCADE_RUN, SESSION, RUN],
            required: &["image"],
            run: Some(cmd::run::run),
            ..Command::NEW
        },
        Command {
            name: "set",
            usage: "SUBCOMMAND",
            help: "Set specific features on objects",
            sub: SET,
            ..Command::NEW
        },
        Command {
            name: "get",
            usage: "[(-o|--output=)json|yaml|wide|custom-columns=...|name|jsonpath=...] (TYPE [NAME | -l label] | TYPE/NAME ...) [flags]",
            help: "Display one or many resources ",
            flags: &[
                FILES,
                OUTPUT,
                SELECTOR,
                FIELD_SELECTOR,
                ALL_NAMESPACES,
                TABLE,
                UNINITIALIZED,
                &[
                    short('L', "label-columns", Slice, "", "Labels to show as columns"),
                    short('w', "watch", Bool, "false", "Go on with what changes"),
                    flag("watch-only", Bool, "false", "Only what changes"),
                    flag("ignore-not-found", Bool, "false", "A missing object is no error"),
                    flag("chunk-size", Int, "500", "How many objects to ask for at a time"),
                    flag("export", Bool, "false", "Accepted for compatibility"),
                    flag("raw", Str, "", "A path to get as it is"),
                    flag("show-kind", Bool, "false", "With the kind before names"),
                    flag("show-managed-fields", Bool, "false", "With managedFields"),
                    flag("experimental-server-print", Bool, "false", "Accepted for compatibility"),
                    flag("use-openapi-print-columns", Bool, "true", "Accepted for compatibility"),
                    flag("allow-missing-template-keys", Bool, "true", "Accepted for compatibility"),
                ],
            ],
            run: Some(cmd::get::run),
            ..Command::NEW
        },
        Command {
            name: "explain",
            usage: "RESOURCE",
            help: "Documentation of resources",
            flags: &[&[
                flag("recursive", Bool, "false", "Fields of fields"),
                flag("api-version", Str, "", "The API version to look in"),
            ]],
            run: Some(cmd::explain::run),
            ..Command::NEW
        },
        Command {
            name: "edit",
            usage: "(RESOURCE/NAME | -f FILENAME)",
            help: "Edit a resource on the server",
            flags: &[FILES, OUTPUT, VALIDATE, RECORD, SAVE_CONFIG, UNINITIALIZED],
            run: Some(cmd::edit::run),
            ..Command::NEW
        },
        Command {
            name: "delete",
            usage: "([-f FILENAME] | TYPE [(NAME | -l label | --all)])",
            help: "Delete resources by filenames, stdin, resources and names, or by resources and label selector",
            flags: &[
                FILES,
                NAME_OUTPUT,
                SELECTOR,
                ALL,
                GRACE,
                UNINITIALIZED,
                &[
                    flag("ignore-not-found", Bool, "false", "A missing object is no error"),
                    flag("now", Bool, "false", "As --grace-period=1"),
                ],
            ],
            run: Some(cmd::delete::run),
            ..Command::NEW
        },
        Command {
            name: "rollout",
            usage: "SUBCOMMAND",
            help: "Manage the rollout of a resource",
            sub: ROLLOUT,
            ..Command::NEW
        },
        Command {
            name: "scale",
            aliases: &["resize"],
            usage: "[--resource-version=version] [--current-replicas=count] --replicas=COUNT (-f FILENAME | TYPE NAME)",
            help: "Set a new size for a Deployment, ReplicaSet, Replication Controller, or Job",
            flags: &[
                FILES,
                NAME_OUTPUT,
                SELECTOR,
                ALL,
                RECORD,
                &[
                    flag("replicas", Int, "-1", "How many"),
                    flag("current-replicas", Int, "-1", "Only if there are that many"),
                    flag("resource-version", Str, "", "Only if the object still has this version"),
                    flag("timeout", Duration, "0s", "How long to wait until there are that many"),
                ],
            ],
            required: &["replicas"],
            run: Some(cmd::scale::run),
            ..Command::NEW
        },
        Command {
            name: "autoscale",
            usage: "(-f FILENAME | TYPE NAME | TYPE/NAME) [--min=MINPODS] --max=MAXPODS [--cpu-percent=CPU] [flags]",
            help: "Auto-scale a Deployment, ReplicaSet, or ReplicationController",
            flags: &[
                FILES,
                OUTPUT,
                DRY_RUN,
                SAVE_CONFIG,
                RECORD,
                GENERATOR,
                &[
                    flag("min", Int, "-1", "The least"),
                    flag("max", Int, "-1", "The most"),
                    flag("cpu-percent", Int, "-1", "The CPU use to aim at"),
                    flag("name", Str, "", "The name of the autoscaler"),
                ],
            ],
            required: &["max"],
            run: Some(cmd::autoscale::run),
            ..Command::NEW
        },
        Command {
            name: "cluster-info",
            usage: "",
            help: "Display cluster info",
            run: Some(cmd::cluster_info::run),
            ..Command::NEW
        },
        Command {
            name: "top",
            usage: "",
            help: "Display Resource (CPU/Memory/Storage) usage.",
            sub: TOP,
            ..Command::NEW
        },
        Command {
            name: "cordon",
            usage: "NODE",
            help: "Mark node as unschedulable",
            flags: &[SELECTOR, DRY_RUN],
            run: Some(cmd::drain::cordon),
            ..Command::NEW
        },
        Command {
            name: "uncordon",
            usage: "NODE",
            help: "Mark node as schedulable",
            flags: &[SELECTOR, DRY_RUN],
            run: Some(cmd::drain::uncordon),
            ..Command::NEW
        },
        Command {
            name: "drain",
            usage: "NODE",
            help: "Drain node in preparation for maintenance",
            flags: &[
                SELECTOR,
                DRY_RUN,
                &[
                    flag("force", Bool, "false", "Also pods that nobody will make again"),
                    flag("ignore-daemonsets", Bool, "false", "Leave pods of daemon sets"),
                    flag("delete-local-data", Bool, "false", "Also pods with emptyDir volumes"),
                    flag("delete-emptydir-data", Bool, "false", "Also pods with emptyDir volumes"),
                    flag("grace-period", Int, "-1", "Seconds that pods get to end"),
                    flag("timeout", Duration, "0s", "How long to wait"),
                    flag("pod-selector", Str, "", "Accepted for compatibility"),
                ],
            ],
            run: Some(cmd::drain::drain),
            ..Command::NEW
        },
        Command {
            name: "taint",
            usage: "NODE NAME KEY_1=VAL_1:TAINT_EFFECT_1 ... KEY_N=VAL_N:TAINT_EFFECT_N",
            help: "Update the taints on one or more nodes",
            flags: &[
                OUTPUT,
                SELECTOR,
                ALL,
                VALIDATE,
                &[flag("overwrite", Bool, "false", "Replace taints that are there")],
            ],
            run: Some(cmd::taint::run),
            ..Command::NEW
        },
        Command {
            name: "describe",
            usage: "(-f FILENAME | TYPE [NAME_PREFIX | -l label] | TYPE/NAME)",
            help: "Show details of a specific resource or group of resources",
            flags: &[
                FILES,
                SELECTOR,
                ALL_NAMESPACES,
                UNINITIALIZED,
                &[flag("show-events", Bool, "true", "With events")],
            ],
            run: Some(cmd::describe::run),
            ..Command::NEW
        },
        Command {
            name: "logs",
            aliases: &["log"],
            usage: "[-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]",
            help: "Print the logs for a container in a pod",
            flags: &[
                CONTAINER,
                SELECTOR,
                &[
                    short('f', "follow", Bool, "false", "Go on with what comes"),
                    short('p', "previous", Bool, "false", "Of the container before this one"),
                    flag("timestamps", Bool, "false", "With times"),
                    flag("limit-bytes", Int, "0", "At most that many bytes"),
                    flag("tail", Int, "-1", "The last lines"),
                    flag("since-time", Str, "", "Since a time"),
                    flag("since", Duration, "0s", "Since so long ago"),
                    flag("all-containers", Bool, "false", "Of all containers"),
                    flag("interactive", Bool, "false", "Accepted for compatibility"),
                    flag("pod-running-timeout", Duration, "20s", "Accepted for compatibility"),
                ],
            ],
            run: Some(cmd::logs::run),
            ..Command::NEW
        },
        Command {
            name: "attach",
            usage: "(POD | TYPE/NAME) -c CONTAINER",
            help: "Attach to a running container",
            flags: &[CONTAINER, SESSION],
            run: Some(cmd::exec::attach),
            ..Command::NEW
        },
        Command {
            name: "exec",
            usage: "POD [-c CONTAINER] -- COMMAND [args...]",
            help: "Execute a command in a container",
            flags: &[CONTAINER, SESSION, &[short('p', "pod", Str, "", "Pod name")]],
            run: Some(cmd::exec::exec),
            ..Command::NEW
        },
        Command {
            name: "port-forward",
            usage: "TYPE/NAME [LOCAL_PORT:]REMOTE_PORT [...[LOCAL_PORT_N:]REMOTE_PORT_N]",
            help: "Forward one or more local ports to a pod",
            flags: &[&[flag("pod-running-timeout", Duration, "1m0s", "How long to wait until a pod runs")]],
            run: Some(cmd::port_forward::run),
            ..Command::NEW
        },
        Command {
            name: "proxy",
            usage: "[--port=PORT] [--api-prefix=prefix]",
            help: "Run a proxy to the Kubernetes API server",
            flags: &[&[
                short('p', "port", Int, "8001", "The port, or 0 for any"),
                flag("address", Str, "127.0.0.1", "The address"),
                flag("api-prefix", Str, "/", "What requests begin with"),
                flag("accept-hosts", Str, "", "Accepted for compatibility"),
                flag("disable-filter", Bool, "false", "Accepted for compatibility"),
            ]],
            run: Some(cmd::proxy::run),
            ..Command::NEW
        },
        Command {
            name: "cp",
            usage: "<file-spec-src> <file-spec-dest>",
            help: "Copy files and directories to and from containers.",
            flags: &[CONTAINER],
            run: Some(cmd::cp::run),
            ..Command::NEW
        },
        Command { name: "auth", usage: "", help: "Inspect authorization", sub: AUTH, ..Command::NEW },
        Command {
            name: "apply",
            usage: "-f FILENAME",
            help: "Apply a configuration to a resource by filename or stdin",
            flags: &[
                FILES,
                SELECTOR,
                ALL,
                OUTPUT,
                DRY_RUN,
                VALIDATE,
                RECORD,
                GRACE,
                UNINITIALIZED,
                &[
                    flag("prune", Bool, "false", "Delete what was applied before and is not in the files"),
                    flag("prune-whitelist", Array, "", "Accepted for compatibility"),
                    flag("overwrite", Bool, "true", "Accepted for compatibility"),
                ],
            ],
            required: &["filename"],
            sub: APPLY,
            run: Some(cmd::apply::run),
            ..Command::NEW
        },
        Command {
            name: "patch",
            usage: "(-f FILENAME | TYPE NAME) -p PATCH",
            help: "Update field(s) of a resource using strategic merge patch",
            flags: &[
                FILES,
                OUTPUT,
                DRY_RUN,
                LOCAL,
                RECORD,
                &[
                    short('p', "patch", Str, "", "The patch"),
                    flag("type", Str, "strategic", "json, merge or strategic"),
                ],
            ],
            required: &["patch"],
            run: Some(cmd::patch::run),
            ..Command::NEW
        },
        Command {
            name: "replace",
            usage: "-f FILENAME",
            help: "Replace a resource by filename or stdin",
            flags: &[FILES, NAME_OUTPUT, SAVE_CONFIG, VALIDATE, RECORD, GRACE],
            run: Some(cmd::replace::run),
            ..Command::NEW
        },
        Command {
            name: "wait",
            usage: "resource.group/name [--for=delete|--for condition=available]",
            help: "Wait for a condition on one or many resources",
            flags: &[
                FILES,
                SELECTOR,
                ALL,
                ALL_NAMESPACES,
                OUTPUT,
                &[
                    flag("for", Str, "", "delete, condition=NAME[=STATUS] or jsonpath='{PATH}'=VALUE"),
                    flag("timeout", Duration, "30s", "How long to wait"),
                ],
            ],
            run: Some(cmd::wait::run),
            ..Command::NEW
        },
        Command {
            name: "label",
            usage: "[--overwrite] (-f FILENAME | TYPE NAME) KEY_1=VAL_1 ... KEY_N=VAL_N [--resource-version=version]",
            help: "Update the labels on a resource",
            flags: &[
                FILES,
                OUTPUT,
                SELECTOR,
                FIELD_SELECTOR,
                ALL,
                DRY_RUN,
                RECORD,
                OVERWRITE,
                UNINITIALIZED,
                &[flag("list", Bool, "false", "Show them")],
            ],
            run: Some(cmd::annotate::label),
            ..Command::NEW
        },
        Command {
            name: "annotate",
            usage: "[--overwrite] (-f FILENAME | TYPE NAME) KEY_1=VAL_1 ... KEY_N=VAL_N [--resource-version=version]",
            help: "Update the annotations on a resource",
            flags: &[FILES, OUTPUT, SELECTOR, FIELD_SELECTOR, ALL, DRY_RUN, RECORD, OVERWRITE, UNINITIALIZED],
            run: Some(cmd::annotate::annotate),
            ..Command::NEW
        },
        Command {
            name: "completion",
            usage: "SHELL",
            help: "Output shell completion code for the specified shell (bash or zsh)",
            run: Some(cmd::completion::run),
            ..Command::NEW
        },
        Command {
            name: "config",
            usage: "SUBCOMMAND",
            help: "Modify kubeconfig files",
            sub: CONFIG,
            ..Command::NEW
        },
        Command {
            name: "plugin",
            usage: "NAME",
            help: "Runs a command-line plugin",
            run: Some(cmd::options::plugin),
            ..Command::NEW
        },
        Command {
            name: "version",
            usage: "",
            help: "Print the client and server version information",
            flags: &[&[
                short('o', "output", Str, "", "One of 'yaml' or 'json'"),
                short('c', "client", Bool, "false", "Without asking the server"),
                flag("short", Bool, "false", "Just the version number"),
            ]],
            run: Some(cmd::version::run),
            ..Command::NEW
        },
        Command {
            name: "api-versions",
            usage: "",
            help: "Print the supported API versions on the server, in the form of \"group/version\"",
            run: Some(cmd::api_versions::run),
            ..Command::NEW
        },
        Command {
            name: "api-resources",
            usage: "",
            help: "Print the supported API resources on the server",
            flags: &[
                NAME_OUTPUT,
                &[
                    flag("api-group", Str, "", "Only of this group"),
                    flag("namespaced", Bool, "true", "Only (not) namespaced ones"),
                    flag("verbs", Slice, "", "Only those with these verbs"),
                    flag("categories", Slice, "", "Only of these categories"),
                    flag("no-headers", Bool, "false", "Without the line of headers"),
                    flag("cached", Bool, "false", "Accepted for compatibility"),
                ],
            ],
            run: Some(cmd::api_resources::run),
            ..Command::NEW
        },
        Command { name: "options", usage: "", help: "", run: Some(cmd::options::run), ..Command::NEW },
        Command { name: "help", usage: "[command]", help: "", run: Some(cmd::options::run), ..Command::NEW },
    ],
    ..Command::NEW
};

const CASCADE_RUN: &[Flag] = &[flag("grace-period", Int, "-1", "Accepted for compatibility")];
const RUN: &[Flag] = &[
    flag("image", Str, "", "The image"),
    flag("image-pull-policy", Str, "", "The pull policy"),
    short('r', "replicas", Int, "1", "How many"),
    flag("rm", Bool, "false", "Delete everything at the end of an attached run"),
    flag("overrides", Str, "", "JSON to merge into the object"),
    flag("env", Array, "", "key=value"),
    flag("serviceaccount", Str, "", "The service account"),
    flag("port", Int, "0", "The port that the container opens"),
    flag("hostport", Int, "-1", "The port on the node"),
    short('l', "labels", Str, "", "Labels"),
    flag("attach", Bool, "false", "Attach to the pod"),
    flag("leave-stdin-open", Bool, "false", "Keep standard input open after the first attach"),
    flag("restart", Str, "", "Always makes a deployment, OnFailure a job, Never a pod"),
    flag("command", Bool, "false", "Arguments are the command"),
    flag("requests", Str, "", "Resource requests"),
    flag("limits", Str, "", "Resource limits"),
    flag("expose", Bool, "false", "Make a service too"),
    flag("service-generator", Str, "service/v2", "Accepted for compatibility"),
    flag("service-overrides", Str, "", "JSON to merge into the service"),
    flag("quiet", Bool, "false", "Less messages"),
    flag("schedule", Str, "", "Makes a cron job with this schedule"),
];
