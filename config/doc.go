// Package config turns oslo.config files, the environment and flags into
// typed options, and remembers where each value came from.
//
// A deployment's dragonflow.ini and neutron.conf work unchanged: the options
// of groups [df] and [df_zmq] have Dragonflow's names, defaults and meaning,
// of both its generations. Wyvern's own options live in group [wyvern], and
// what only one driver can be told in a group of its own, [wyvern_nats], when
// the driver is linked into the program.
//
// The parser is our own because of the INI libraries for Go none reports the
// line of an option, and none reads this dialect (continuation lines by
// indentation, no comments after a value, `:` besides `=`).
//
// # Usage
//
//	c, err := config.Load(config.Sources{
//		Files: []string{"/etc/neutron/neutron.conf", "/etc/neutron/dragonflow.ini"},
//		Env:   os.Environ(),
//		Sets:  []string{"df.publisher_port=9000"},
//	})
//
// # Sources
//
// A later source wins over an earlier one:
//
//  1. built-in defaults;
//  2. files, in the order given;
//  3. of each directory, in the order given, the files *.conf, sorted by name
//     (a name that begins with a dot is left out);
//  4. environment variables WYVERN_<GROUP>__<OPTION>, in upper case;
//  5. flags, as group.option=value.
//
// Groups and options of other programs are ignored in files. An unknown
// option is an error in group [wyvern] and those of drivers, which are ours
// alone, and in the environment and in flags, where nobody else's options can be. [DEFAULT] is
// nobody's group: any name may be set there, for $name to refer to.
//
// Only the value that wins is checked, as in oslo.config: one that a later
// source replaces does no harm.
//
// # Files
//
// A file is UTF-8 and at most 4 MiB long. A line is one of
//
//	[group]             begins a group; case matters only in DEFAULT
//	name = value        or name: value
//	  more              white space first: continues the value on a new line
//	# text              or ; text: a comment, only at the start of a line
//
// A blank line or a comment ends a value. Quotes around a whole value are
// removed. Options before any group belong to [DEFAULT] (oslo.config refuses
// them). A name that is repeated takes its last value.
//
// In a value, $name or ${name} stands for the value of another option of the
// group, or of [DEFAULT]; $group.name and ${group.name} for one of any group,
// even of another program's, if a source sets it. $$ and \$ are a dollar.
//
// # Concurrency
//
// Load and WriteSample may run concurrently. A Config is plain data: reading
// it from several goroutines is safe while nobody changes it.
//
// # Errors
//
// Load reports everything that it finds wrong at once, joined by errors.Join,
// one line each:
//
//	dragonflow.ini:12: [df] publisher_port = "http": not a port (0..65535)
//	environment WYVERN_DF__PUBLISHER_PRT: [df] has no option publisher_prt; did you mean publisher_port?
//	--set: [wyvern] retention = "1": not a size (64KiB..1024GiB, in bytes or with KiB, MiB, GiB, k, M, G)
//
// What went wrong with reading a file can be asked with errors.Is, for example
// fs.ErrNotExist.
package config
