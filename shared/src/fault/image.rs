//! Texts of the area `image`: getting images from registries and archives.

super::texts! {
    BAD_REFERENCE = "image-bad-reference",
        "{reference} is no image reference: {why}. Write registry/name:tag or registry/name@sha256:…, without https://",
        "{reference} 不是镜像引用：{why}。请写成 registry/name:tag 或 registry/name@sha256:…，不带 https://";
    NOT_FOUND = "image-not-found",
        "{reference} is not in its registry. Check name and tag",
        "镜像仓库中没有 {reference}。请检查名称和标签";
    UNAUTHORIZED = "image-unauthorized",
        "The registry does not give {reference} to this user. Set user and password for this registry; a wrong name looks the same",
        "镜像仓库拒绝向该用户提供 {reference}。请为该仓库设置用户名和密码；名称写错时也会出现此提示";
    REGISTRY_UNREACHABLE = "image-registry-unreachable",
        "Registry {registry} cannot be reached: {cause}. Check network, name and certificate; a registry without HTTPS must be allowed as plain HTTP",
        "无法连接镜像仓库 {registry}：{cause}。请检查网络、名称和证书；没有 HTTPS 的仓库须明确允许使用明文 HTTP";
    REGISTRY_BUSY = "image-registry-busy",
        "Registry {registry} is busy (HTTP {status}). Try again later; what was fetched already is kept",
        "镜像仓库 {registry} 繁忙（HTTP {status}）。请稍后重试；已获取的部分会保留";
    REGISTRY_TOO_SLOW = "image-registry-too-slow",
        "Registry {registry} sends too slowly. Try again; what was fetched already is kept",
        "镜像仓库 {registry} 发送过慢。请重试；已获取的部分会保留";
    REGISTRY_REFUSED = "image-registry-refused",
        "Registry {registry} refused (HTTP {status}): {message}. Ask its operator",
        "镜像仓库 {registry} 拒绝了请求（HTTP {status}）：{message}。请联系其管理员";
    DOCUMENT = "image-document",
        "{what} cannot be read: {why}. Build or export the image again",
        "无法读取 {what}：{why}。请重新构建或导出镜像";
    SCHEMA_1 = "image-schema-1",
        "{what} is in Docker's old schema 1. Pull and push it again with a current tool",
        "{what} 使用 Docker 的旧格式 schema 1。请用当前版本的工具重新拉取并推送";
    NOT_AN_IMAGE = "image-not-an-image",
        "This is an artifact of type {type}, not a container image. Name an image",
        "这是类型为 {type} 的制品，不是容器镜像。请指定容器镜像";
    TOO_MANY = "image-too-many",
        "{what} has more than {max} {of}. Split it or build it with fewer",
        "{what} 超过上限：最多 {max}（{of}）。请拆分或减少数量后重新构建";
    TOO_LARGE = "image-too-large",
        "{what} has more than {max} bytes. Make it smaller, or raise the limit in the hub's configuration",
        "{what} 超过 {max} 字节。请缩小，或在中心配置中调大上限";
    FOREIGN_LAYER = "image-foreign-layer",
        "Layer {digest} may not be passed on ({type}), so its bytes lie elsewhere. Build the image on a base without such layers",
        "层 {digest} 不允许转发（{type}），其内容存放在别处。请使用不含此类层的基础镜像构建";
    LAYER_TYPE = "image-layer-type",
        "Layer {digest} has the type {type}; supported are tar, tar+gzip and tar+zstd. Build the image with one of these",
        "层 {digest} 的类型为 {type}；支持 tar、tar+gzip 和 tar+zstd。请使用其中一种构建镜像";
    NO_PLATFORM = "image-no-platform",
        "There is no image for {wanted}; there are: {available}. Build it for this platform, or publish for another one",
        "没有适用于 {wanted} 的镜像；现有平台：{available}。请为该平台构建镜像，或发布到其他平台";
    AMBIGUOUS = "image-ambiguous",
        "Several images fit: {names}. Say which one by its name",
        "有多个镜像符合：{names}。请用名称指定其中一个";
    NO_NAME = "image-no-name",
        "No image is named {name}; there are: {names}",
        "没有名为 {name} 的镜像；现有：{names}";
    MISSING = "image-missing-blob",
        "Content {digest} is missing. Export the image again, with all its layers",
        "缺少内容 {digest}。请重新导出镜像，并包含所有层";
    WRONG_DIGEST = "image-wrong-digest",
        "The content of {expected} was changed: its digest is {found}. Get the image again; if it happens again, do not trust the source",
        "{expected} 的内容已被改动：实际摘要为 {found}。请重新获取镜像；若再次出现，请勿信任该来源";
    WRONG_SIZE = "image-wrong-size",
        "Content {digest} shall have {expected} bytes and has {found}. Get the image again",
        "内容 {digest} 应有 {expected} 字节，实际为 {found}。请重新获取镜像";
    WRONG_DIFF_ID = "image-wrong-diff-id",
        "Layer {layer} unpacks to {found}, but the image's config says {expected}. The image is inconsistent: build it again",
        "层 {layer} 解压后为 {found}，但镜像配置要求 {expected}。镜像自相矛盾：请重新构建";
    LAYER_COUNT = "image-layer-count",
        "The image has {layers} layers, but its config names {diff_ids}. Build it again",
        "镜像有 {layers} 层，但其配置列出 {diff_ids} 层。请重新构建";
    BAD_LAYER = "image-bad-layer",
        "Layer {layer} cannot be unpacked: {why}. Build the image again",
        "无法解压层 {layer}：{why}。请重新构建镜像";
    BOMB = "image-bomb",
        "Layer {layer} grows beyond {max} bytes when it is unpacked, which its size does not explain. If that is meant, raise the limit in the hub's configuration",
        "层 {layer} 解压后超过 {max} 字节，与其大小不符。若确属预期，请在中心配置中调大上限";
    NOT_AN_ARCHIVE = "image-not-an-archive",
        "This is no image archive: {why}. Use an OCI layout (directory or tar) or the output of docker save",
        "这不是镜像归档：{why}。请使用 OCI 布局（目录或 tar）或 docker save 的输出";
    BAD_ARCHIVE = "image-bad-archive",
        "The archive is damaged at byte {at}: {why}. Export it again",
        "归档在第 {at} 字节处损坏：{why}。请重新导出";
    DUPLICATE = "image-archive-duplicate",
        "{name} stands twice in the archive, so nobody can say which one is meant. Export it again",
        "归档中 {name} 出现两次，无法确定应使用哪一个。请重新导出";
    LINK = "image-archive-link",
        "{name} is a link to {target} where content is needed. Export the image again as plain files",
        "{name} 是指向 {target} 的链接，而此处需要实际内容。请以普通文件重新导出镜像";
    IO = "image-io",
        "The disk failed while {doing}: {cause}. Check the disk and its free space",
        "磁盘在 {doing} 时出错：{cause}。请检查磁盘及其剩余空间";
}
