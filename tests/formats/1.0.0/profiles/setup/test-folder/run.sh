#!/bin/sh
cat folder/conf.d/plain
