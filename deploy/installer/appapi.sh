# appapi.sh - what Nextcloud has to be told about this Docker host: the form's fields by their labels and
# in their order, and the same as a command.
# shellcheck shell=sh disable=SC2154 # variables are those of install-tunnel-client.sh

tell_appapi() {
    url=${nextcloud_url:-NEXTCLOUD_URL}
    harp=${harp_address:-HARP_ADDRESS}
    cat <<TEXT

In Nextcloud, Administration settings, AppAPI, "Register daemon":

  Daemon configuration template  HaRP Proxy (Host)
  Name                           $name
  Display name                   $name
  Deployment method              docker-install
  HaRP host                      $harp
  HaRP shared key                SHARED_KEY
  Nextcloud URL                  $url
  Set as the default daemon      on, if new ExApps are to come here
  (Show deploy options)
  Enable HaRP                    on
  FRP server address             $hub
  Docker socket proxy port       $port
  Disable FRP                    off
  Docker network                 host
  Compute device                 CPU
  Memory limit, CPU limit        empty, or what one ExApp may have
  then "Check connection", and "Register"

or the same on Nextcloud's host, as the user that Nextcloud runs as:

  php occ app_api:daemon:register $name $name docker-install http '$harp' '$url' \\
      --net=host --harp --harp_frp_address='$hub' --harp_shared_key='SHARED_KEY' \\
      --harp_docker_socket_port=$port --compute_device=cpu

  SHARED_KEY     the hub's HP_SHARED_KEY
TEXT
    [ -n "$harp_address" ] || cat <<TEXT
  HARP_ADDRESS   host and port 8780 of the hub, as Nextcloud reaches it
TEXT
    [ -n "$nextcloud_url" ] || cat <<TEXT
  NEXTCLOUD_URL  Nextcloud's address as this host's containers reach it, as in https://cloud.example.com
TEXT
}
