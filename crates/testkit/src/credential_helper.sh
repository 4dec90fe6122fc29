#!/bin/sh
# Stands for a credential helper in the tests: what it does is in the file beside it.
. "$0.script"
