package workload

import (
	"fmt"
	"math/rand/v2"
)

// object is a row of the database.
type object interface {
	head() *header
	table() string
}

// header is what all objects have.
type header struct {
	ID      string `json:"id"`
	Topic   string `json:"topic,omitempty"`
	Name    string `json:"name,omitempty"`
	Version uint64 `json:"version"`
}

func (h *header) head() *header { return h }

type chassis struct {
	header
	IP          string   `json:"ip"`
	TunnelTypes []string `json:"tunnel_types"`
}

func newChassis(n int) *chassis {
	return &chassis{
		header:      header{ID: fmt.Sprintf("compute-%02d", n)},
		IP:          fmt.Sprintf("172.24.%d.%d", 4+n/250, 1+n%250),
		TunnelTypes: []string{"geneve", "vxlan"},
	}
}

func (*chassis) table() string { return "chassis" }

// alter changes what an operator would: how others tunnel to it.
func (c *chassis) alter(rng *rand.Rand) {
	kinds := []string{"geneve", "vxlan", "gre"}
	c.TunnelTypes = some(rng, kinds, 1+rng.IntN(len(kinds)))
}

type secgroup struct {
	header
	UniqueKey int    `json:"unique_key"`
	Rules     []rule `json:"rules"`
}

func (*secgroup) table() string { return "secgroup" }

type rule struct {
	header
	SecurityGroup  string `json:"security_group_id"`
	Direction      string `json:"direction"`
	EtherType      string `json:"ethertype"`
	Protocol       string `json:"protocol"`
	PortMin        int    `json:"port_range_min"`
	PortMax        int    `json:"port_range_max"`
	RemoteIPPrefix string `json:"remote_ip_prefix"`
}

type lswitch struct {
	header
	UniqueKey      int    `json:"unique_key"`
	SegmentationID int    `json:"segmentation_id"`
	NetworkType    string `json:"network_type"`
	MTU            int    `json:"mtu"`
	External       bool   `json:"is_external"`
}

func (*lswitch) table() string { return "lswitch" }

type lsubnet struct {
	header
	Switch     string   `json:"lswitch"`
	CIDR       string   `json:"cidr"`
	Gateway    string   `json:"gateway_ip"`
	EnableDHCP bool     `json:"enable_dhcp"`
	DHCP       string   `json:"dhcp_ip"`
	DNS        []string `json:"dns_nameservers"`
	Routes     []string `json:"host_routes"`
}

func (*lsubnet) table() string { return "lsubnet" }

type lrouter struct {
	header
	UniqueKey int          `json:"unique_key"`
	Ports     []routerPort `json:"ports"`
	Routes    []string     `json:"routes"`
}

func (*lrouter) table() string { return "lrouter" }

type routerPort struct {
	header
	UniqueKey int    `json:"unique_key"`
	Switch    string `json:"lswitch"`
	MAC       string `json:"mac"`
	Network   string `json:"network"`
}

type lport struct {
	header
	UniqueKey      int      `json:"unique_key"`
	Enabled        bool     `json:"enabled"`
	IPs            []string `json:"ips"`
	MACs           []string `json:"macs"`
	Switch         string   `json:"lswitch"`
	Subnets        []string `json:"subnets"`
	DeviceOwner    string   `json:"device_owner"`
	DeviceID       string   `json:"device_id"`
	SecurityGroups []string `json:"security_groups"`
	PortSecurity   bool     `json:"port_security_enabled"`
	AddressPairs   []string `json:"allowed_address_pairs"`
	VNIC           string   `json:"binding_vnic_type"`
	DHCP           dhcp     `json:"dhcp_params"`
	Binding        *binding `json:"binding,omitempty"`
}

func (*lport) table() string { return "lport" }

type dhcp struct {
	Server  string            `json:"siaddr"`
	Options map[string]string `json:"opts"`
}

type binding struct {
	Type    string `json:"type"`
	Chassis string `json:"chassis"`
}
