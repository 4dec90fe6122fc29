# Runs a program with another folder as its root: sh enter.sh ROOT SHARED PROGRAM ARGUMENT...
#
# To be started by `unshare --mount`: all that is mounted here is seen by that program alone, and gone
# with it. chroot would do for most clients; dockerd wants a root that is a mount (it remounts it).
set -e
root=$1
shared=$2
shift 2
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
# What a program leaves behind is for those of the same home: daemons and their clients meet here.
for place in run var/tmp var/lib/containers; do
    mkdir -p "$root/$place" "$HOME/machine/$place"
    mount --bind "$HOME/machine/$place" "$root/$place"
done
mount -t tmpfs tmpfs "$root/tmp"
mkdir -p "$root$shared"
mount --rbind "$shared" "$root$shared"
mount -o remount,bind,ro "$root"
cd "$root"
pivot_root . mnt
umount -l /mnt
cd "$HOME"
exec "$@"
