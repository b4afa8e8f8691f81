# What is wrong with a machine is found, named, and gone when check's command has been run.
. ./lib
modprobe br_netfilter
go_tests TestCheckFixes TestCheckFlowtable TestCheckFullTable TestCheckBridge TestCheckBuffer \
	TestCheckRights TestCheckChangesNothing TestConditionsAreLogged
end
