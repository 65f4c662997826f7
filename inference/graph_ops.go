package inference

import "strings"

// allowed are the operations that a remote model may hold: arithmetic, network layers,
// shapes, choices and loops, variables, and reading a checkpoint. Nothing here writes a
// file, opens a connection, runs foreign code or prints; any other operation is
// refused.
var allowed = set(`
Const Identity IdentityN NoOp Placeholder PlaceholderWithDefault StopGradient PreventGradient EnsureShape Snapshot
PartitionedCall StatefulPartitionedCall If StatelessIf Case StatelessCase While StatelessWhile Assert
Switch RefSwitch Merge Enter Exit NextIteration LoopCond ControlTrigger

Abs Acos Acosh Add AddN AddV2 Angle Asin Asinh Atan Atan2 Atanh Ceil ComplexAbs Cos Cosh Cross Cumprod Cumsum
CumulativeLogsumexp Digamma Div DivNoNan Erf Erfc Erfinv Exp Expm1 Floor FloorDiv FloorMod Igamma Igammac Inv
Invert L2Loss Lgamma Log Log1p LogSoftmax Maximum Minimum Mod Mul MulNoNan Ndtri Neg NextAfter Polygamma Pow
RealDiv Reciprocal Rint Round Rsqrt Sigmoid Sign Sin Sinc Sinh Softmax Softplus Softsign Sqrt Square
SquaredDifference Sub Tan Tanh TruncateDiv TruncateMod Xdivy Xlog1py Xlogy Zeta BesselI0e BesselI1e
Complex Real Imag Conj FFT IFFT RFFT IRFFT FFT2D IFFT2D RFFT2D IRFFT2D

Equal NotEqual Greater GreaterEqual Less LessEqual ApproximateEqual LogicalAnd LogicalNot LogicalOr
BitwiseAnd BitwiseOr BitwiseXor LeftShift RightShift PopulationCount Bitcast Cast IsFinite IsInf IsNan
Select SelectV2 Where ClipByValue Bucketize

All Any ArgMax ArgMin EuclideanNorm Max Mean Min Prod Sum SegmentMax SegmentMean SegmentMin SegmentProd SegmentSum
UnsortedSegmentMax UnsortedSegmentMin UnsortedSegmentProd UnsortedSegmentSum InTopK InTopKV2 TopK TopKV2 Histogram
HistogramFixedWidth Bincount DenseBincount

BatchMatMul BatchMatMulV2 BatchMatMulV3 MatMul Einsum MatrixBandPart MatrixDiag MatrixDiagV2 MatrixDiagV3
MatrixDiagPart MatrixDiagPartV2 MatrixDiagPartV3 MatrixSetDiag MatrixSetDiagV2 MatrixSetDiagV3 MatrixTranspose
MatrixInverse MatrixSolve MatrixDeterminant Cholesky Qr Svd SelfAdjointEigV2 LinSpace Range Diag DiagPart Eye

AvgPool AvgPool3D BiasAdd BiasAddV1 Conv2D Conv3D Conv2DBackpropInput Conv3DBackpropInputV2
DepthwiseConv2dNative Dilation2D Elu FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3 LRN LeakyRelu MaxPool
MaxPool3D MaxPoolV2 MaxPoolWithArgmax Relu Relu6 Selu SoftmaxCrossEntropyWithLogits
SparseSoftmaxCrossEntropyWithLogits ResizeArea ResizeBicubic ResizeBilinear ResizeNearestNeighbor CropAndResize
ExtractImagePatches AdjustContrastv2 AdjustHue AdjustSaturation RGBToHSV HSVToRGB NonMaxSuppressionV3

BatchToSpace BatchToSpaceND BroadcastArgs BroadcastTo Concat ConcatOffset ConcatV2 DepthToSpace DynamicPartition
DynamicStitch ParallelDynamicStitch Empty ExpandDims Fill Gather GatherNd GatherV2 InvertPermutation MirrorPad
OneHot OnesLike Pack Pad PadV2 ParallelConcat Rank Reshape Reverse ReverseSequence ReverseV2 Roll ScatterNd
ScatterNdNonAliasingAdd Shape ShapeN Size Slice SpaceToBatch SpaceToBatchND SpaceToDepth Split SplitV Squeeze
StridedSlice TensorScatterAdd TensorScatterMax TensorScatterMin TensorScatterSub TensorScatterUpdate
TensorStridedSliceUpdate Tile Transpose Unique UniqueV2 UniqueWithCounts Unpack ZerosLike LowerBound UpperBound
SearchSorted

FakeQuantWithMinMaxArgs FakeQuantWithMinMaxVars FakeQuantWithMinMaxVarsPerChannel Dequantize QuantizeV2
QuantizeAndDequantizeV2 QuantizeAndDequantizeV3 QuantizeAndDequantizeV4

TensorListReserve TensorListStack TensorListGetItem TensorListSetItem TensorListFromTensor TensorListLength
TensorListPushBack TensorListPopBack TensorListElementShape EmptyTensorList TensorListConcatV2 TensorListResize
TensorArrayV3 TensorArrayReadV3 TensorArrayWriteV3 TensorArrayGatherV3 TensorArrayScatterV3 TensorArraySizeV3

VarHandleOp VarIsInitializedOp ReadVariableOp AssignVariableOp AssignAddVariableOp AssignSubVariableOp
ResourceGather ResourceGatherNd VariableShape DestroyResourceOp RestoreV2
`)

// saving are the operations of the function that TensorFlow's export always adds and
// that a box never runs: it writes a checkpoint. They are allowed in a function that
// nothing that runs can reach.
var saving = set(`SaveV2 MergeV2Checkpoints ShardedFilename StringJoin StaticRegexFullMatch RegexFullMatch`)

func set(words string) map[string]bool {
	all := map[string]bool{}
	for _, word := range strings.Fields(words) {
		all[word] = true
	}
	return all
}
