#!/bin/sh
exec /sbin/update-extlinux --warn-only
