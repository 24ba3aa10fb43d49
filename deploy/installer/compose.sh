# compose.sh - the same two programs as containers: images, settings and certificates for
# compose/docker-host.yml, which goes to /etc/harp/compose together with what this host adds to it.
# shellcheck shell=sh disable=SC2154 # variables are those of install-tunnel-client.sh

compose_folder=$etc/compose
images_of_both='harp-socket-filter harp-tunnel-client'
image_user=8780 # who the programs are in their images

engine() {
    DOCKER_HOST="unix://$docker_socket" docker "$@"
}

# In the folder of its files, where it finds .env.
compose() {
    (
        cd "$compose_folder" || exit
        export DOCKER_HOST="unix://$docker_socket"
        if docker compose version >/dev/null 2>&1; then
            docker compose -f docker-host.yml -f this-host.yml "$@"
        else
            docker-compose -f docker-host.yml -f this-host.yml "$@"
        fi
    )
}

# ---- what there is ----

check_compose() {
    [ -z "$from" ] || mistake '--from is for --with systemd: leave it out, or name images with --images'
    if ! command -v docker >/dev/null 2>&1; then
        mistake "docker is missing: install Docker's client (Debian: docker.io, from 13 on docker-cli)"
        return
    fi
    docker compose version >/dev/null 2>&1 || command -v docker-compose >/dev/null 2>&1 ||
        mistake 'docker compose is missing: install the package docker-compose (or docker-compose-plugin)'
    [ -r "$here/compose/docker-host.yml" ] ||
        mistake "$here/compose/docker-host.yml is missing: copy the folder deploy as a whole"
    [ ! -S "$docker_socket" ] || find_images
}

find_images() {
    if [ -z "$images" ] && [ -d "$here/../build/image" ]; then
        images=$(cd "$here/../build/image" && pwd)
    fi
    arch=$(engine version --format '{{.Server.Arch}}' 2>/dev/null) || {
        mistake "Docker does not answer at $docker_socket: start it"
        return
    }
    for image in $images_of_both; do
        if [ -z "$images" ]; then
            engine image inspect "$image:latest" >/dev/null 2>&1 ||
                mistake "there is no image $image: name the folder of those that make image made with --images DIR"
        elif [ ! -f "$images/$image.tar" ]; then
            mistake "--images: there is no $images/$image.tar: make it (make image), or name the folder in which it is"
        elif ! tar -xOf "$images/$image.tar" | grep -aq "\"architecture\":\"$arch\""; then
            mistake "--images: $images/$image.tar is not for this machine ($arch): make it on such a one (make image)"
        fi
    done
}

# ---- settings ----

env_file() {
    key=/dev/null
    [ "$identity" = own ] || key=$etc/tunnel_shared_key
    cat <<TEXT
# Written by $program.
COMPOSE_PROJECT_NAME=harp
HARP_HUB_HOST=$hub_host
HARP_HUB_PORT=$hub_port
HARP_ENGINE_NAME=$name
HARP_ENGINE_PORT=$port
HARP_CLIENT_CERTS=$etc/certs
HARP_SHARED_KEY_FILE=$key
DOCKER_SOCKET=$docker_socket
TEXT
}

this_host_yml() {
    cat <<TEXT
# Written by $program.
services:
  client:
    # It connects out, and opens no port: what was checked on this host about names and routes holds for it.
    network_mode: host
TEXT
    [ "$identity" = own ] && cat <<TEXT
    # The certificate says who this host is; the shared key stays at home.
    environment:
      HP_SHARED_KEY_FILE: ""
TEXT
    return 0
}

load_images() {
    [ -n "$images" ] || return 0
    for image in $images_of_both; do
        sum=$(sum_of "$images/$image.tar")
        if [ "$(recorded image "$image")" = "$sum" ] && engine image inspect "$image:latest" >/dev/null 2>&1; then
            continue
        fi
        step "image $image" "load the image $image"
        up=1
        [ -z "$dry" ] || continue
        record image "$image" "$sum"
        engine load --quiet --input "$images/$image.tar" >/dev/null
    done
}

# ---- the way ----

# The id of a service's container, if it runs.
container() {
    engine ps --quiet --no-trunc --filter label=com.docker.compose.project=harp \
        --filter "label=com.docker.compose.service=$1"
}

install_compose() {
    client='' up=''
    put_certificates "root:$image_user"
    folder "$compose_folder" 755 root:root
    env_file >"$work/.env"
    this_host_yml >"$work/this-host.yml"
    for file in "$here/compose/docker-host.yml" "$work/this-host.yml" "$work/.env"; do
        put "$file" "$compose_folder/${file##*/}" 644 root:root
        [ -z "$changed" ] || up=1
    done
    load_images
    if [ -z "$(container filter)" ] || [ -z "$(container client)" ]; then
        up=1
    fi
    was=$(container client)
    if [ -n "$up" ]; then
        step 'containers brought up' 'bring the containers up'
        [ -n "$dry" ] || compose up -d >"$work/up" 2>&1 || {
            sed 's/^/    /' "$work/up" >&2
            fail "the containers don't start; the reason is above"
        }
    fi
    if [ -n "$client" ] && [ -n "$was" ] && [ "$was" = "$(container client)" ]; then
        step 'container of the tunnel client restarted' 'restart the container of the tunnel client'
        [ -n "$dry" ] || engine restart "$(container client)" >/dev/null
    fi
}

stop_compose() {
    docker_socket=$(sed -n 's/^DOCKER_SOCKET=//p' "$compose_folder/.env" 2>/dev/null || :)
    [ -n "$docker_socket" ] || return 0
    step 'containers and their volume' 'remove the containers and their volume'
    [ -n "$dry" ] || compose down --volumes >"$work/down" 2>&1 || {
        sed 's/^/    /' "$work/down" >&2
        fail "the containers can't be removed; the reason is above"
    }
}

stopped_compose() {
    :
}

remove_image() {
    for tag in $(engine image ls --format '{{.Repository}}:{{.Tag}}' "$1"); do
        step "image $tag" "remove the image $tag"
        [ -n "$dry" ] || engine image rm "$tag" >/dev/null
    done
}

# ---- for proof.sh ----

filter_health_compose() {
    engine exec "$(container filter)" /usr/bin/harp-socket-filter health
}

client_status_compose() {
    engine exec "$(container client)" /usr/bin/harp-tunnel-client status --json
}

offer_again_compose() {
    engine restart "$(container client)" >/dev/null
}

log_of_compose() {
    echo "docker logs $(engine ps --all --filter label=com.docker.compose.project=harp \
        --filter "label=com.docker.compose.service=${1##*-}" --format '{{.Names}}')"
}
