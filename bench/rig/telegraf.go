package rig

import "fmt"

// Telegraf is the configuration of a Telegraf that reads the meter as the agent does and
// publishes it with QoS 1.
type Telegraf struct {
	Interval, Flush string // as Telegraf writes durations
	Batch           int    // metric_batch_size
	Buffer, Folder  string // buffer_strategy, buffer_directory
	Broker, Topic   string
	ClientID        string
	Meter           string // URL
	Timeout         string // of one request
}

// TelegrafBatch is Telegraf's own metric_batch_size.
const TelegrafBatch = 1000

// TOML is the text of the configuration file. Telegraf waits for the broker at its start and
// keeps 10,000 metrics, as its manual advises for a broker that may be away.
func (t Telegraf) TOML() string {
	return fmt.Sprintf(`[agent]
interval = %q
flush_interval = %q
metric_batch_size = %d
precision = "1ms"
metric_buffer_limit = 10000
buffer_strategy = %q
buffer_directory = %q
omit_hostname = true
[[outputs.mqtt]]
servers = [%q]
topic = %q
client_id = %q
qos = 1
data_format = "json"
json_timestamp_units = "1ms"
startup_error_behavior = "retry"
[[inputs.modbus]]
name = "furnace"
controller = %q
slave_id = 1
timeout = %q
configuration_type = "register"
holding_registers = [
  {name = "a", byte_order = "ABCD", data_type = "FLOAT32-IEEE", scale = 1.0, address = [0, 1]},
  {name = "b", byte_order = "ABCD", data_type = "FLOAT32-IEEE", scale = 1.0, address = [2, 3]},
  {name = "c", byte_order = "ABCD", data_type = "FLOAT32-IEEE", scale = 1.0, address = [4, 5]},
]
`, t.Interval, t.Flush, t.Batch, t.Buffer, t.Folder, t.Broker, t.Topic, t.ClientID, t.Meter, t.Timeout)
}
