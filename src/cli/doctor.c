#include "cli/cli.h"
int wh_cli_doctor(int argc, char **argv) { (void)argc; (void)argv; return 0; }
