# Fills a template of a manual page with what the program itself says.
#
#   awk -v help=FILE -v config=FILE -f render.awk TEMPLATE
#
# help is its --help, config its --print-config. Lines of the template that are replaced:
#   @OPTIONS@ @COMMANDS@ @EXIT@   from the help
#   @SETTINGS@                    each setting with default, meaning, unit and environment variable
#   @LISTS@                       what stands behind the settings in the example, as it is there

# A text that is no markup.
function plain(text) {
    gsub(/\\/, "\\e", text)
    gsub(/-/, "\\-", text)
    gsub(/`/, "\\(ga", text)
    gsub(/"/, "\\(dq", text)
    sub(/^['.]/, "\\\\\\&&", text)
    return text
}

# The same; mdoc wants each sentence on a line of its own.
function sentences(text) {
    text = plain(text)
    while (match(text, /\. +[A-Z]/)) {
        print substr(text, 1, RSTART)
        text = substr(text, RSTART + 1)
        sub(/^ +/, "", text)
    }
    print text
}

function item(text) {
    print ".It Ic \"" plain(text) "\""
}

function begin_list() {
    print ".Bl -tag -width Ds"
}

# "  -c, --config FILE   what it does"; the second part may be the next line.
function print_options(   line, rest, open) {
    begin_list()
    while ((getline line < help) > 0 && line !~ /^(Commands|Settings)/) {
        if (line ~ /^ +-/) {
            sub(/^ +/, "", line)
            rest = line
            sub(/  .*/, "", line)
            item(line)
            if (sub(/^.*[^ ]  +/, "", rest))
                sentences(rest)
            open = 1
        } else if (open && line ~ /[^ ]/) {
            sub(/^ +/, "", line)
            sentences(line)
        }
    }
    close(help)
    print ".El"
}

# "  name arguments", then what it does, deeper.
function print_commands(   line, inside) {
    begin_list()
    while ((getline line < help) > 0 && line !~ /^Settings/) {
        if (line ~ /^Commands/)
            inside = 1
        else if (inside && line ~ /^  [a-z]/)
            item(substr(line, 3))
        else if (inside && line ~ /[^ ]/) {
            sub(/^ +/, "", line)
            sentences(line)
        }
    }
    close(help)
    print ".El"
}

function print_exit(   line, inside) {
    while ((getline line < help) > 0) {
        if (line ~ /^Exit codes:/)
            inside = 1
        if (inside)
            print plain(line)
    }
    close(help)
}

# Into example[1..examples]; last_setting is where the list of settings ends.
function read_config(   line, shaped) {
    if (examples)
        return
    while ((getline line < config) > 0) {
        example[++examples] = line
        if (line ~ /^# Value: /)
            shaped = 1
        else if (shaped && line ~ /^#[a-z_0-9]+ = .*;$/) {
            last_setting = examples
            shaped = 0
        }
    }
    close(config)
}

# "# Value: a file. Environment: HP_X."
function print_shape(line,   at, variable) {
    at = index(line, ". Environment: ")
    if (at) {
        variable = substr(line, at + length(". Environment: "))
        sub(/\.$/, "", variable)
        line = substr(line, 1, at)
    }
    print ".br"
    print plain(substr(line, 3))
    if (variable) {
        print "Environment:"
        print ".Ev " variable " ."
    }
}

function print_settings(   i, line, text, shape, listed) {
    read_config()
    for (i = 1; i <= last_setting; i++) {
        line = example[i]
        if (line ~ /^# ---- .* ----$/) {
            if (listed)
                print ".El"
            line = substr(line, 8, length(line) - 12)
            print ".Ss " plain(line)
            begin_list()
            listed = 1
        } else if (line == "") {
            text = shape = ""
        } else if (line ~ /^# Value: /) {
            shape = line
        } else if (shape != "" && line ~ /^#[a-z_0-9]+ = .*;$/) {
            item(substr(line, 2))
            sentences(text)
            print_shape(shape)
            text = shape = ""
        } else {
            sub(/^# ?/, "", line)
            text = text (text == "" ? "" : " ") line
        }
    }
    if (listed)
        print ".El"
}

function print_lists(   i, line) {
    read_config()
    print ".Bd -literal"
    for (i = last_setting + 2; i <= examples; i++) {
        line = example[i]
        if (line ~ /^# ---- .* ----$/)
            line = substr(line, 8, length(line) - 12) ":"
        else
            sub(/^# ?/, "", line)
        print line == "" ? "" : plain(line)
    }
    print ".Ed"
}

/^@OPTIONS@$/ { print_options(); next }
/^@COMMANDS@$/ { print_commands(); next }
/^@EXIT@$/ { print_exit(); next }
/^@SETTINGS@$/ { print_settings(); next }
/^@LISTS@$/ { print_lists(); next }
/^@/ { print FILENAME ":" FNR ": " $0 ": not known" > "/dev/stderr"; exit 1 }
{ print }
