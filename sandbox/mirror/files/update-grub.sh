#!/bin/sh
# Stand-in for Alpine's update-grub: a new /boot/grub/grub.cfg takes the old one's place only when it is whole.
set -e
mkdir -p /boot/grub
[ ! -e /boot/grub/grub.cfg ] || cp /boot/grub/grub.cfg /boot/grub/grub.cfg.backup
grub-mkconfig -o /boot/grub/grub.cfg.new
mv /boot/grub/grub.cfg.new /boot/grub/grub.cfg
