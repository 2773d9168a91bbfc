//! Texts of the area `manifest`. `{place}` is `file:line:column`, or a path in the normal form.

super::texts! {
    REFUSED = "manifest-refused",
        "The manifest is refused",
        "清单被拒绝";
    // ---- the text as YAML
    TOO_LARGE = "manifest-too-large",
        "{place}: the text has {size} bytes, at most {max} are read. Move large content into an image or a volume",
        "{place}：文本有 {size} 字节，最多读取 {max} 字节。请把大块内容放进镜像或卷";
    SYNTAX = "manifest-syntax",
        "{place}: not YAML: {cause}. Check indentation and quotes here",
        "{place}：不是有效的 YAML：{cause}。请检查此处的缩进和引号";
    EMPTY = "manifest-empty",
        "{place}: the text holds no document. An app begins with: apiVersion: causeway/v1",
        "{place}：文本中没有文档。应用清单的开头是：apiVersion: causeway/v1";
    SECOND_DOCUMENT = "manifest-second-document",
        "{place}: a second document begins here; a manifest is one document. Put the other one into its own file",
        "{place}：此处开始了第二个文档，而清单只能有一个文档。请把另一个放到单独的文件里";
    CONTROL_CHARACTER = "manifest-control-character",
        "{place}: the character {char} is not allowed in YAML. Remove it, or write it as an escape in double quotes",
        "{place}：YAML 中不允许字符 {char}。请删除它，或在双引号中写成转义";
    TOO_DEEP = "manifest-too-deep",
        "{place}: nested deeper than {max} levels. No manifest needs that: check brackets and indentation",
        "{place}：嵌套超过 {max} 层。清单不需要这么深：请检查括号和缩进";
    TOO_MUCH = "manifest-too-much",
        "{place}: with aliases written out, the text has more than {nodes} values or {bytes} bytes. Use fewer aliases",
        "{place}：展开别名后，文本超过 {nodes} 个值或 {bytes} 字节。请减少别名的使用";
    TAG = "manifest-tag",
        "{place}: the tag {tag} is not supported. Write the value without it",
        "{place}：不支持标签 {tag}。请去掉标签，直接写值";
    DUPLICATE_KEY = "manifest-duplicate-key",
        "{place}: {key} is written twice in the same map. Keep one of them",
        "{place}：同一映射中 {key} 写了两次。请只保留一个";
    KEY_NOT_TEXT = "manifest-key-not-text",
        "{place}: a key must be a text, not a list, a map or null. Put it in quotes",
        "{place}：键必须是文本，不能是列表、映射或 null。请加上引号";
    ALIAS_LOOP = "manifest-alias-loop",
        "{place}: the alias refers to a value that contains it. Name another anchor",
        "{place}：别名指向了包含它自己的值。请改用其他锚点";
    BAD_MERGE = "manifest-bad-merge",
        "{place}: << takes a map or a list of maps, for example <<: *common",
        "{place}：<< 后面必须是映射或映射的列表，例如 <<: *common";
    // ---- variables
    VARIABLE_UNSET = "manifest-variable-unset",
        "{place}: the variable {name} has no value. Give one when publishing, write a default as in {default}, or write $$ for a dollar sign",
        "{place}：变量 {name} 没有值。请在发布时给出，或写默认值，如 {default}；若要美元符号本身请写 $$";
    VARIABLE_REQUIRED = "manifest-variable-required",
        "{place}: the variable {name} is required: {why}. Give it a value when publishing",
        "{place}：必须提供变量 {name}：{why}。请在发布时给出它的值";
    VARIABLE_MALFORMED = "manifest-variable-malformed",
        "{place}: {text} is not a variable such as {default}. For a dollar sign write $$",
        "{place}：{text} 不是变量，正确形式如 {default}。若要美元符号本身请写 $$";
    VARIABLES_TOO_LONG = "manifest-variables-too-long",
        "{place}: with its variables the text is longer than {max} bytes. Use shorter values",
        "{place}：代入变量后文本超过 {max} 字节。请使用更短的值";
    // ---- the document
    NEITHER = "manifest-neither",
        "{place}: neither an App (apiVersion: {version}) nor a Compose file (services: …). Begin with one of these keys",
        "{place}：既不是 App（apiVersion: {version}），也不是 Compose 文件（services: …）。请以其中一个键开头";
    NOT_THIS_KIND = "manifest-not-this-kind",
        "{place}: {key} is {value}; this build reads {key}: {expected}",
        "{place}：{key} 为 {value}；此版本只读取 {key}: {expected}";
    NAME_MISSING = "manifest-name-missing",
        "{place}: the app has no name. Write metadata.name (Compose: name), or give one when publishing: hubctl publish --name",
        "{place}：应用没有名称。请写 metadata.name（Compose 为 name），或在发布时给出：hubctl publish --name";
    VERSION_MISSING = "manifest-version-missing",
        "{place}: the release has no version. Write metadata.version, or for a Compose file give one when publishing: hubctl publish --version",
        "{place}：发布包没有版本号。请写 metadata.version；Compose 文件请在发布时给出：hubctl publish --version";
    BAD_VERSION = "manifest-bad-version",
        "{place}: {value} is not a version: use 1 to 64 of A-Z a-z 0-9 . _ + -",
        "{place}：{value} 不是有效版本号：请使用 1 到 64 个 A-Z a-z 0-9 . _ + - 字符";
    BAD_NAME = "manifest-bad-name",
        "{place}: {value} is not a name: use 1 to 63 of a-z, 0-9 and -, with no - at either end. Nearest name: {near}",
        "{place}：{value} 不是有效名称：请使用 1 到 63 个 a-z、0-9 和 - 字符，首尾不能是 -。最接近的名称：{near}";
    NO_SERVICES = "manifest-no-services",
        "{place}: the app has no service. Add one with an image below services",
        "{place}：应用没有服务。请在 services 下添加一个带 image 的服务";
    BAD_UPDATE = "manifest-bad-update",
        "{place}: a deadline of {deadline} with a settle time of {settle} can never be met. Make deadline the longer one",
        "{place}：deadline 为 {deadline} 而 settle 为 {settle}，永远无法满足。请让 deadline 更长";
    // ---- kinds of values
    MISSING = "manifest-missing",
        "{place}: {key} is missing here. Add it",
        "{place}：此处缺少 {key}。请补上";
    NOT_A_TEXT = "manifest-not-a-text",
        "{place}: {value} is not a text. Put it in double quotes",
        "{place}：{value} 不是文本。请加上双引号";
    NOT_A_LIST = "manifest-not-a-list",
        "{place}: {value} is not a list. Write the items as - item, or in [ ]",
        "{place}：{value} 不是列表。请写成 - 条目 的形式，或放在 [ ] 中";
    NOT_A_MAP = "manifest-not-a-map",
        "{place}: {value} is not a map. Write key: value, one per line",
        "{place}：{value} 不是映射。请写成 键: 值 的形式，每行一个";
    NOT_A_FLAG = "manifest-not-a-flag",
        "{place}: {value} is not true or false. Write one of the two",
        "{place}：{value} 不是 true 或 false。请写其中之一";
    NOT_A_NUMBER = "manifest-not-a-number",
        "{place}: {value} is not a whole number in range. Write digits only, for example 3",
        "{place}：{value} 不是范围内的整数。请只写数字，例如 3";
    BAD_PERIOD = "manifest-bad-period",
        "{place}: {value} is not a period. Write number and unit, such as 1m30s, 500ms or 2h, at most 400 days",
        "{place}：{value} 不是时长。请写数字和单位，例如 1m30s、500ms 或 2h，最长 400 天";
    BAD_SIZE = "manifest-bad-size",
        "{place}: {value} is not a size. Write a whole number and b, k, m or g, such as 64m",
        "{place}：{value} 不是大小。请写整数和单位 b、k、m 或 g，例如 64m";
    BAD_CPUS = "manifest-bad-cpus",
        "{place}: {value} is not a number of processors such as 0.5 or 2",
        "{place}：{value} 不是处理器数量，例如 0.5 或 2";
    BAD_MODE = "manifest-bad-mode",
        "{place}: {value} is not permission bits in octal from 0000 to 0777. Write them with a leading zero, such as 0440",
        "{place}：{value} 不是 0000 到 0777 的八进制权限位。请以零开头书写，例如 0440";
    TOO_MANY = "manifest-too-many",
        "{place}: {count} entries, at most {max} are allowed here. Split the app or the service",
        "{place}：有 {count} 项，此处最多允许 {max} 项。请拆分应用或服务";
    TOO_LONG = "manifest-too-long",
        "{place}: {size} bytes, at most {max} are allowed here. Move large content into an image or a volume",
        "{place}：有 {size} 字节，此处最多允许 {max} 字节。请把大块内容放进镜像或卷";
    NUL = "manifest-nul",
        "{place}: the text holds a NUL character, which no process can be given. Remove it",
        "{place}：文本含有 NUL 字符，无法传给进程。请删除它";
    // ---- the process of a service
    BAD_IMAGE = "manifest-bad-image",
        "{place}: {value} is not an image reference such as registry.example/team/app:1.0",
        "{place}：{value} 不是镜像引用，例如 registry.example/team/app:1.0";
    UNCLOSED_QUOTE = "manifest-unclosed-quote",
        "{place}: a quote or backslash in {value} is not closed. Close it, or write the words as a list",
        "{place}：{value} 中的引号或反斜杠没有闭合。请闭合它，或把各个词写成列表";
    VARIABLE_WITHOUT_VALUE = "manifest-variable-without-value",
        "{place}: the variable {name} has no value, and a node has no shell to take one from. Write {name}=value, or \"\" for an empty one",
        "{place}：变量 {name} 没有值，而节点上没有可供取值的 shell 环境。请写 {name}=值，空值请写 \"\"";
    BAD_VARIABLE_NAME = "manifest-bad-variable-name",
        "{place}: {name} is not a variable's name: use 1 to 256 visible ASCII characters without =",
        "{place}：{name} 不是变量名：请使用 1 到 256 个可见 ASCII 字符，且不含 =";
    BAD_LABEL = "manifest-bad-label",
        "{place}: {key} is not a label's key: use 1 to {max} visible ASCII characters without =",
        "{place}：{key} 不是标签键：请使用 1 到 {max} 个可见 ASCII 字符，且不含 =";
    BAD_USER = "manifest-bad-user",
        "{place}: {value} is not a user. Write user, uid, user:group or uid:gid",
        "{place}：{value} 不是用户。请写 user、uid、user:group 或 uid:gid";
    BAD_CAPABILITY = "manifest-bad-capability",
        "{place}: {value} is not a capability of Linux. Write one such as NET_ADMIN, without CAP_",
        "{place}：{value} 不是 Linux 权能。请写如 NET_ADMIN 的名称，不带 CAP_";
    CAP_ADD_ALL = "manifest-cap-add-all",
        "{place}: ALL capabilities are the whole machine and are never given. List the ones that are needed",
        "{place}：ALL 权能等于整台机器，不会授予。请逐个列出需要的权能";
    BAD_SIGNAL = "manifest-bad-signal",
        "{place}: {value} is not a signal such as SIGINT or SIGTERM",
        "{place}：{value} 不是信号，例如 SIGINT 或 SIGTERM";
    BAD_RESTART = "manifest-bad-restart",
        "{place}: {value} is not a restart policy. Write no, always, unless-stopped, on-failure or on-failure:3",
        "{place}：{value} 不是重启策略。请写 no、always、unless-stopped、on-failure 或 on-failure:3";
    BAD_NETWORK_MODE = "manifest-bad-network-mode",
        "{place}: network_mode {value} is not supported: it is bridge, host or none. Nearest: {near}",
        "{place}：不支持 network_mode {value}：只能是 bridge、host 或 none。最接近的是：{near}";
    LIMIT_TWICE = "manifest-limit-twice",
        "{place}: this differs from {key}, which means the same. Keep one of them",
        "{place}：此值与含义相同的 {key} 不一致。请只保留一个";
    LIMIT_CPUS = "manifest-limit-cpus",
        "{place}: a limit of processors is from 0.001 to {max}",
        "{place}：处理器限制应在 0.001 到 {max} 之间";
    LIMIT_MEMORY = "manifest-limit-memory",
        "{place}: a memory limit is at least 6m: below it no process can be started. Raise it, or remove it for the node's default",
        "{place}：内存限制至少为 6m，低于它无法启动进程。请调高，或删除以使用节点的默认值";
    LIMIT_PIDS = "manifest-limit-pids",
        "{place}: a limit of processes is from 1 to {max}. Remove it for the node's default",
        "{place}：进程数限制应在 1 到 {max} 之间。删除它则使用节点的默认值";
    BAD_TEST = "manifest-bad-test",
        "{place}: not a health check ({cause}). Write a list such as [HTTP, \":8080/healthz\"], [TCP, \":8080\"], [CMD, program, argument] or [CMD-SHELL, line]",
        "{place}：不是健康检查（{cause}）。请写列表，例如 [HTTP, \":8080/healthz\"]、[TCP, \":8080\"]、[CMD, 程序, 参数] 或 [CMD-SHELL, 命令行]";
    HEALTH_TOO_OFTEN = "manifest-health-too-often",
        "{place}: an interval of {value} is too short: a check runs at most once a second. Write at least 1s",
        "{place}：间隔 {value} 太短：健康检查每秒最多一次。请至少写 1s";
    HEALTH_NO_TIME = "manifest-health-no-time",
        "{place}: a check without time can never succeed. Write a timeout such as 5s",
        "{place}：没有时间的检查永远不会成功。请写超时，例如 5s";
    HEALTH_RETRIES = "manifest-health-retries",
        "{place}: retries is from 1 to {max}",
        "{place}：retries 应在 1 到 {max} 之间";
    HEALTH_NO_NETWORK = "manifest-health-no-network",
        "{place}: a service with network_mode none cannot be asked over the network. Use a CMD check",
        "{place}：network_mode 为 none 的服务无法通过网络检查。请使用 CMD 检查";
    // ---- ports
    BAD_PORT = "manifest-bad-port",
        "{place}: {value} is not a port. Write [ip:]published:target[/tcp|udp] with ports from 1 to 65535, such as \"8080:80\"",
        "{place}：{value} 不是端口。请写 [ip:]published:target[/tcp|udp]，端口为 1 到 65535，例如 \"8080:80\"";
    BAD_PROTOCOL = "manifest-bad-protocol",
        "{place}: the protocol of {value} is not supported: it is tcp or udp",
        "{place}：不支持 {value} 的协议：只能是 tcp 或 udp";
    PORT_NOT_PUBLISHED = "manifest-port-not-published",
        "{place}: {value} names no port of the node. A random one would change with every start, so nobody could find it: write published:target, such as \"8080:80\". Between services of an app nothing needs to be published",
        "{place}：{value} 没有指明节点端口。随机端口每次启动都会变化，无法被找到：请写 published:target，例如 \"8080:80\"。同一应用的服务之间无需发布端口";
    PORT_RANGES_DIFFER = "manifest-port-ranges-differ",
        "{place}: the two ranges of {value} have different lengths. Make them equal, such as \"8000-8002:80-82\"",
        "{place}：{value} 的两个范围长度不同。请使其相等，例如 \"8000-8002:80-82\"";
    PORT_RANGE_TOO_LONG = "manifest-port-range-too-long",
        "{place}: {value} is more than 64 ports. Use network_mode: host for a service that needs them all",
        "{place}：{value} 超过 64 个端口。需要全部端口的服务请使用 network_mode: host";
    PORT_TAKEN = "manifest-port-taken",
        "{place}: port {port} of the node is already published by service {service}. Choose another one",
        "{place}：节点端口 {port} 已被服务 {service} 发布。请换一个端口";
    PORTS_WITHOUT_BRIDGE = "manifest-ports-without-bridge",
        "{place}: with network_mode {mode} there is nothing to publish. Remove ports, or use network_mode: bridge",
        "{place}：network_mode 为 {mode} 时没有可发布的端口。请删除 ports，或使用 network_mode: bridge";
    // ---- mounts, devices, files
    VOLUME_ANONYMOUS = "manifest-volume-anonymous",
        "{place}: {value} names no source. A volume without a name could not be found again: write name:/path and declare the name below volumes",
        "{place}：{value} 没有写来源。匿名卷无法再被找到：请写 名称:/路径，并在 volumes 下声明该名称";
    BAD_VOLUME_NAME = "manifest-bad-volume-name",
        "{place}: the volume of {value} has no usable name: use 1 to 63 of a-z, 0-9 and -",
        "{place}：{value} 的卷名不可用：请使用 1 到 63 个 a-z、0-9 和 - 字符";
    BIND_RELATIVE = "manifest-bind-relative",
        "{place}: {value} is relative to a directory that only exists where the manifest was written. Use a named volume, a config, or an absolute path of the node",
        "{place}：{value} 相对于编写清单的目录，而节点上没有该目录。请使用命名卷、config 或节点上的绝对路径";
    BIND_CREATE = "manifest-bind-create",
        "{place}: a node does not make directories outside its own state. Make it on the node, and remove create_host_path",
        "{place}：节点不会在自身状态目录之外创建目录。请在节点上创建它，并删除 create_host_path";
    BAD_MOUNT_MODE = "manifest-bad-mount-mode",
        "{place}: the mode of {value} is not supported: it is ro or rw",
        "{place}：不支持 {value} 的模式：只能是 ro 或 rw";
    BAD_MOUNT_TYPE = "manifest-bad-mount-type",
        "{place}: mounts of type {value} are not supported: the type is volume, bind or tmpfs",
        "{place}：不支持类型为 {value} 的挂载：类型只能是 volume、bind 或 tmpfs";
    BAD_TMPFS_OPTION = "manifest-bad-tmpfs-option",
        "{place}: {value} is not a tmpfs such as /run or /run:size=64m",
        "{place}：{value} 不是 tmpfs，例如 /run 或 /run:size=64m";
    BAD_TMPFS_SIZE = "manifest-bad-tmpfs-size",
        "{place}: the size of a tmpfs is from 1b to 1048576g. Remove it for the default of 64m",
        "{place}：tmpfs 的大小应在 1b 到 1048576g 之间。删除它则使用默认的 64m";
    BAD_VOLUME_DRIVER = "manifest-bad-volume-driver",
        "{place}: the volume driver {value} is not supported. Remove it: volumes are directories of the node; mount other storage on the node and use a bind",
        "{place}：不支持卷驱动 {value}。请删除它：卷就是节点上的目录；其他存储请先挂载到节点，再用 bind";
    BAD_PATH = "manifest-bad-path",
        "{place}: {value} is not an absolute path in its shortest form, at most {max} bytes. Write it from / on, without .., . and a slash at the end",
        "{place}：{value} 不是最简形式的绝对路径（最多 {max} 字节）。请从 / 写起，不含 ..、. 和末尾斜杠";
    TARGET_RESERVED = "manifest-target-reserved",
        "{place}: nothing can be mounted at {target} inside a container. Choose a directory of the app's own",
        "{place}：容器内的 {target} 不能挂载任何内容。请选择应用自己的目录";
    TARGET_TWICE = "manifest-target-twice",
        "{place}: {target} is already taken by {other}. Choose another target",
        "{place}：{target} 已被 {other} 占用。请换一个目标路径";
    DEVICE_NOT_BELOW_DEV = "manifest-device-not-below-dev",
        "{place}: {value} is not a device below /dev. For files and directories use volumes",
        "{place}：{value} 不是 /dev 下的设备。文件和目录请使用 volumes";
    BAD_DEVICE_PERMISSIONS = "manifest-bad-device-permissions",
        "{place}: {value} are not permissions of a device: r, w and m, each at most once",
        "{place}：{value} 不是设备权限：只能是 r、w、m，且各最多一次";
    UNDEFINED = "manifest-undefined",
        "{place}: {name} is not defined below {section} (defined: {defined}). Add it there",
        "{place}：{section} 下没有定义 {name}（已定义：{defined}）。请在那里添加";
    CONFIG_SOURCE = "manifest-config-source",
        "{place}: a config needs exactly one of content and file",
        "{place}：config 需要且只能有 content 和 file 中的一个";
    CONFIG_FILE = "manifest-config-file",
        "{place}: the file {file} cannot be read: {cause}. Check the path, or write the text below content",
        "{place}：无法读取文件 {file}：{cause}。请检查路径，或把文本写在 content 下";
    SECRET_EXTERNAL = "manifest-secret-external",
        "{place}: a secret is external: true, nothing else. Its value goes to the node with: edge-node secret set APP NAME",
        "{place}：secret 只能写 external: true。它的值在节点上设置：edge-node secret set APP NAME";
    // ---- dependencies
    UNKNOWN_DEPENDENCY = "manifest-unknown-dependency",
        "{place}: there is no service {name} to depend on (services: {defined})",
        "{place}：没有可依赖的服务 {name}（现有服务：{defined}）";
    CYCLE = "manifest-cycle",
        "{place}: these services wait for each other and none could start: {cycle}. Remove one of the dependencies",
        "{place}：这些服务互相等待，谁也无法启动：{cycle}。请去掉其中一个依赖";
    NEVER_HEALTHY = "manifest-never-healthy",
        "{place}: service {name} has no health check, so it never becomes healthy. Add a healthcheck to it, or use service_started",
        "{place}：服务 {name} 没有健康检查，永远不会变为健康。请为它添加 healthcheck，或使用 service_started";
    NEVER_COMPLETED = "manifest-never-completed",
        "{place}: service {name} has restart: {restart}, so it never stays completed. Give it restart: on-failure",
        "{place}：服务 {name} 的 restart 为 {restart}，永远不会保持完成状态。请改为 restart: on-failure";
    BAD_CONDITION = "manifest-bad-condition",
        "{place}: {value} is not a condition: service_started, service_healthy or service_completed_successfully",
        "{place}：{value} 不是条件：只能是 service_started、service_healthy 或 service_completed_successfully";
    DEPENDENCY_OPTION = "manifest-dependency-option",
        "{place}: {key} is not supported: every dependency is required and orders the start only. Remove it",
        "{place}：不支持 {key}：所有依赖都是必需的，且只决定启动顺序。请删除它";
    // ---- keys that are not supported
    UNKNOWN_KEY = "manifest-unknown-key",
        "{place}: {key} is not supported. Nearest supported key: {near}",
        "{place}：不支持 {key}。最接近的受支持字段：{near}";
    UNKNOWN_KEY_LIST = "manifest-unknown-key-list",
        "{place}: {key} is not supported. Supported here: {keys}",
        "{place}：不支持 {key}。此处支持的字段：{keys}";
    KEY_BELONGS_BELOW_SPEC = "manifest-key-belongs-below-spec",
        "{place}: {key} stands below spec in an App. Indent it there, or remove apiVersion and kind to publish a plain Compose file",
        "{place}：在 App 中 {key} 应写在 spec 下。请移到那里；若要发布普通 Compose 文件，请删除 apiVersion 和 kind";
    KEY_NAMESPACE = "manifest-key-namespace",
        "{place}: {key} is not supported: an app's name is unique at the hub. Nearest: labels",
        "{place}：不支持 {key}：应用名在中心端是唯一的。最接近的是 labels";
    KEY_LABELS = "manifest-key-labels",
        "{place}: {key} is not supported. Nearest: labels",
        "{place}：不支持 {key}。最接近的是 labels";
    KEY_BUILD = "manifest-key-build",
        "{place}: {key} is not supported: a node runs finished images. Nearest: image; build and push it first",
        "{place}：不支持 {key}：节点只运行构建好的镜像。最接近的是 image，请先构建并推送";
    KEY_PLATFORM = "manifest-key-platform",
        "{place}: {key} is not supported: a release holds the image of each platform by digest, and a node takes its own. Remove it, and choose platforms when publishing",
        "{place}：不支持 {key}：发布包按摘要包含各平台的镜像，节点自取所需。请删除它，并在发布时选择平台";
    KEY_NETWORKS = "manifest-key-networks",
        "{place}: {key} is not supported: the services of an app share one network and find each other by name. Remove it; nearest: network_mode",
        "{place}：不支持 {key}：同一应用的服务共用一个网络，可用服务名互相访问。请删除它；最接近的是 network_mode";
    KEY_EXPOSE = "manifest-key-expose",
        "{place}: {key} is not needed: services of an app reach every port of each other. Remove it; to open a port of the node use ports",
        "{place}：不需要 {key}：同一应用的服务可互相访问所有端口。请删除它；要开放节点端口请用 ports";
    KEY_HOSTNAME = "manifest-key-hostname",
        "{place}: {key} is not supported: a service is known by its own name, and a container's id changes. Name the service as it shall be found",
        "{place}：不支持 {key}：服务以服务名被访问，容器 id 会变化。请直接把服务命名为希望使用的名称";
    KEY_DNS = "manifest-key-dns",
        "{place}: {key} is not supported: containers use the node's own resolver and the names of the app's services. Set names on the node",
        "{place}：不支持 {key}：容器使用节点的解析器和本应用的服务名。请在节点上配置域名解析";
    KEY_PRIVILEGED = "manifest-key-privileged",
        "{place}: {key} is not supported: it would give the whole machine away. Nearest: cap_add and devices with what is needed",
        "{place}：不支持 {key}：它等于交出整台机器。最接近的是 cap_add 和 devices，只给需要的部分";
    KEY_SECURITY_OPT = "manifest-key-security-opt",
        "{place}: {key} is not supported: no-new-privileges and the default seccomp profile always hold. Remove it; nearest: cap_drop",
        "{place}：不支持 {key}：no-new-privileges 和默认 seccomp 配置始终生效。请删除它；最接近的是 cap_drop";
    KEY_GROUP_ADD = "manifest-key-group-add",
        "{place}: {key} is not supported. Nearest: user with a group, such as user: \"1000:20\"",
        "{place}：不支持 {key}。最接近的是带用户组的 user，例如 user: \"1000:20\"";
    KEY_DEVICES = "manifest-key-devices",
        "{place}: {key} is not supported. Nearest: devices with the path of each device",
        "{place}：不支持 {key}。最接近的是 devices，逐个写出设备路径";
    KEY_EXTENDS = "manifest-key-extends",
        "{place}: {key} is not supported: a manifest is one file. Nearest: YAML anchors and <<",
        "{place}：不支持 {key}：清单是单个文件。最接近的是 YAML 锚点和 <<";
    KEY_PROFILES = "manifest-key-profiles",
        "{place}: {key} is not supported: every service of a release runs. Nearest: an app of its own for what runs elsewhere",
        "{place}：不支持 {key}：发布包中的每个服务都会运行。最接近的做法是为其他场景单独建一个应用";
    KEY_LOGGING = "manifest-key-logging",
        "{place}: {key} is not supported: the node keeps the output of every service, with a size cap. Remove it, and read logs with hubctl logs",
        "{place}：不支持 {key}：节点会保存每个服务的输出并限制大小。请删除它，用 hubctl logs 查看日志";
    KEY_TERMINAL = "manifest-key-terminal",
        "{place}: {key} is not supported: a service has no terminal. Remove it; its output is in its log",
        "{place}：不支持 {key}：服务没有终端。请删除它；输出在日志中";
    KEY_ENV_FILE = "manifest-key-env-file",
        "{place}: {key} is not supported: a release holds all it needs. Nearest: environment, with $NAME for values given when publishing, or secrets",
        "{place}：不支持 {key}：发布包自带所需的一切。最接近的是 environment（发布时给出的值写 $NAME），或 secrets";
    KEY_SHARED_NAMESPACE = "manifest-key-shared-namespace",
        "{place}: {key} is not supported: every container keeps its own namespaces and cgroup. Nearest: network_mode",
        "{place}：不支持 {key}：每个容器使用自己的命名空间和 cgroup。最接近的是 network_mode";
    KEY_RUNTIME = "manifest-key-runtime",
        "{place}: {key} is not supported: every container runs with runc. Remove it",
        "{place}：不支持 {key}：所有容器都由 runc 运行。请删除它";
    KEY_SYSCTLS = "manifest-key-sysctls",
        "{place}: {key} is not supported. Set it on the node in /etc/sysctl.d; nearest: network_mode: host to see the node's values",
        "{place}：不支持 {key}。请在节点的 /etc/sysctl.d 中设置；最接近的是用 network_mode: host 使用节点的值";
    KEY_OTHER_LIMIT = "manifest-key-other-limit",
        "{place}: {key} is not supported. Nearest: deploy.resources.limits with cpus, memory and pids",
        "{place}：不支持 {key}。最接近的是 deploy.resources.limits 的 cpus、memory 和 pids";
    KEY_SHM_SIZE = "manifest-key-shm-size",
        "{place}: {key} is not supported. Nearest: tmpfs: [\"/dev/shm:size=256m\"]",
        "{place}：不支持 {key}。最接近的是 tmpfs: [\"/dev/shm:size=256m\"]";
    KEY_REPLICAS = "manifest-key-replicas",
        "{place}: {key} is not supported: a service runs once on each node. Deploy the app to more nodes with hubctl deploy",
        "{place}：不支持 {key}：每个服务在每个节点上只运行一份。请用 hubctl deploy 部署到更多节点";
    KEY_RESTART_POLICY = "manifest-key-restart-policy",
        "{place}: {key} is not supported. Nearest: restart of the service, such as restart: on-failure:3",
        "{place}：不支持 {key}。最接近的是服务的 restart，例如 restart: on-failure:3";
    KEY_UPDATE_CONFIG = "manifest-key-update-config",
        "{place}: {key} is not supported: a release that does not prove itself is undone as a whole. Nearest: spec.update of an App",
        "{place}：不支持 {key}：未通过验证的发布包会被整体回退。最接近的是 App 的 spec.update";
    KEY_INIT = "manifest-key-init",
        "{place}: {key} is not supported. Nearest: entrypoint with an init of the image, such as [tini, --]",
        "{place}：不支持 {key}。最接近的是在 entrypoint 中使用镜像自带的 init，例如 [tini, --]";
    KEY_VOLUMES_FROM = "manifest-key-volumes-from",
        "{place}: {key} is not supported. Nearest: volumes with the same named volume in both services",
        "{place}：不支持 {key}。最接近的是在两个服务的 volumes 中使用同一个命名卷";
    KEY_VOLUME_DRIVER = "manifest-key-volume-driver",
        "{place}: {key} is not supported: volumes are directories of the node. Mount other storage on the node; nearest: a bind",
        "{place}：不支持 {key}：卷就是节点上的目录。其他存储请先挂载到节点；最接近的是 bind";
    KEY_VOLUME_EXTERNAL = "manifest-key-volume-external",
        "{place}: {key} is not supported: a volume belongs to its app. Remove it for a volume of the app's own; nearest for shared data: a bind",
        "{place}：不支持 {key}：卷属于它的应用。删除它即使用应用自己的卷；共享数据最接近的是 bind";
    KEY_SHARED_NAME = "manifest-key-shared-name",
        "{place}: {key} is not supported here: the key above is the name. Rename that",
        "{place}：此处不支持 {key}：上一级的键就是名称。请改那个键";
    KEY_SHARED_LABELS = "manifest-key-shared-labels",
        "{place}: {key} is not supported here. Nearest: labels of the service",
        "{place}：此处不支持 {key}。最接近的是服务的 labels";
    KEY_CONFIG_EXTERNAL = "manifest-key-config-external",
        "{place}: {key} is not supported for a config: it is part of the release. Nearest: content or file; for what lives on the node: secrets",
        "{place}：config 不支持 {key}：它是发布包的一部分。最接近的是 content 或 file；只存在于节点上的内容请用 secrets";
    KEY_CONFIG_ENVIRONMENT = "manifest-key-config-environment",
        "{place}: {key} is not supported for a config. Nearest: content: \"$NAME\" with a value given when publishing",
        "{place}：config 不支持 {key}。最接近的是 content: \"$NAME\"，并在发布时给出值";
    KEY_SECRET_CONTENT = "manifest-key-secret-content",
        "{place}: {key} is not supported for a secret: everyone who sees a release could read it. Write external: true, and on the node: edge-node secret set APP NAME",
        "{place}：secret 不支持 {key}：能看到发布包的人都能读到它。请写 external: true，并在节点上执行：edge-node secret set APP NAME";
    KEY_MOUNT_OPTION = "manifest-key-mount-option",
        "{place}: {key} is not supported for this type of mount. Remove it; supported: type, source, target and read_only, for tmpfs: size",
        "{place}：此类挂载不支持 {key}。请删除它；支持的是 type、source、target 和 read_only，tmpfs 支持 size";
    KEY_HOOKS = "manifest-key-hooks",
        "{place}: {key} is not supported. Nearest: a service of its own that another one depends on with service_completed_successfully",
        "{place}：不支持 {key}。最接近的是单独的服务，并让其他服务以 service_completed_successfully 依赖它";
    KEY_SWARM = "manifest-key-swarm",
        "{place}: {key} is not supported: it belongs to another engine. Remove it",
        "{place}：不支持 {key}：它属于其他引擎。请删除它";
    // ---- notices: nothing is wrong
    NOTICE_NO_RESTART = "manifest-notice-no-restart",
        "{place}: service {service} has no restart policy: it stays down when its process ends. For a long-running service add restart: unless-stopped",
        "{place}：服务 {service} 没有重启策略：进程结束后将保持停止。长期运行的服务请加 restart: unless-stopped";
    NOTICE_FLOATING = "manifest-notice-floating",
        "{place}: {image} has no version of its own: the release keeps what it means today. Name a tag to say which",
        "{place}：{image} 没有明确版本：发布包会固定它当前所指的内容。请写明标签";
    NOTICE_POLICY = "manifest-notice-policy",
        "{place}: {what} needs the consent of each site: a node whose node.toml does not allow it refuses the app",
        "{place}：{what} 需要各站点同意：node.toml 不允许的节点会拒绝该应用";
    NOTICE_SECRET = "manifest-notice-secret",
        "{place}: the secret must be on each node before the app starts: edge-node secret set {app} {name}",
        "{place}：应用启动前，每个节点上都必须有该机密：edge-node secret set {app} {name}";
}
