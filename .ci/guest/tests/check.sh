#!/bin/sh
# What is wrong with a machine is found, named, and gone when check's command has been run.
# shellcheck source=.ci/guest/tests/lib
. ./lib
modprobe br_netfilter
go_tests TestCheckFixes TestCheckFlowtable TestCheckFullTable TestCheckBridge TestCheckBuffer \
	TestCheckRights TestCheckChangesNothing
subtest=^flowtable_without_counter go_tests TestConditionsAreLogged
end
