// The operator table: canonical names, the kind of each operator, and its spelling in every
// frontend. An operator is one line at the END of the table: its id is its position, and zoos store
// ids.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace narfast {

enum class Category : std::uint8_t {
  kSource,       // network inputs, embeddings of token ids
  kConvolution,  // convolutions of every rank
  kLinear,       // dense projections and products of matrices
  kAttention,
  kNormalization,
  kActivation,   // one input, element by element, with a bend
  kElementwise,  // arithmetic, element by element
  kReduction,
  kPooling,
  kLayout,    // moves data without computing
  kIndexing,  // picks or places data
  kRecurrent,
  kSpatial,  // resizing, sampling, regions
  kOther,
};
[[nodiscard]] std::string_view category_name(Category category);

/// Bits of OperatorInfo::traits.
namespace trait {
inline constexpr std::uint32_t kTransparent = 1;  // dropped: no part of the design
inline constexpr std::uint32_t kCommutative = 2;  // argument order carries no meaning
inline constexpr std::uint32_t kWeights = 4;      // has learnt weights
inline constexpr std::uint32_t kSource = 8;       // where data enters the network
inline constexpr std::uint32_t kUnary = 16;       // element by element on one input
}  // namespace trait

/// One line of the table. Spellings are separated by blanks; an ONNX spelling may end in ":n", the
/// number of leading inputs that carry data (the rest are shapes, axes, bounds, weights).
struct OperatorInfo {
  std::string_view name;
  Category category;
  std::uint32_t traits;
  std::string_view autograd;  // without "Backward0"
  std::string_view aten;      // without namespace and overload
  std::string_view onnx;
};

namespace operator_rows {  // short names for the columns of the table
using enum Category;
inline constexpr auto T = trait::kTransparent;
inline constexpr auto C = trait::kCommutative;
inline constexpr auto W = trait::kWeights;
inline constexpr auto S = trait::kSource;
inline constexpr auto U = trait::kUnary;

// clang-format off
inline constexpr auto kTable = std::to_array<OperatorInfo>({
  // name, category, traits, autograd, aten, onnx
  {"input", kSource, S, "", "", ""},
  {"embedding", kSource, S | W, "Embedding EmbeddingBag", "embedding embedding_bag _embedding_bag", ""},
  {"conv", kConvolution, W, "Convolution ConvolutionOverrideable MkldnnConvolution ThnnConv2D SlowConv3D", "convolution conv1d conv2d conv3d _convolution", "Conv:1 FusedConv:1 ConvInteger:1 QLinearConv:1 NhwcConv:1 CausalConvWithState:1"},
  {"conv_transpose", kConvolution, W, "", "conv_transpose1d conv_transpose2d conv_transpose3d", "ConvTranspose:1"},
  {"linear", kLinear, W, "Linear", "linear", "Gemm FusedGemm QGemm MatMulNBits MatMulBnb4 GemmFloat8"},
  {"matmul", kLinear, 0, "Mm Bmm Addmm Baddbmm Matmul Mv Dot", "mm bmm addmm baddbmm matmul mv dot", "MatMul MatMulInteger QLinearMatMul FusedMatMul DynamicQuantizeMatMul MatMulIntegerToFloat TransposeMatMul"},
  {"einsum", kLinear, 0, "Einsum", "einsum", "Einsum"},
  {"bilinear", kLinear, W, "Trilinear", "bilinear _trilinear", ""},
  {"attention", kAttention, 0, "ScaledDotProductFlashAttention ScaledDotProductFlashAttentionForCpu ScaledDotProductEfficientAttention ScaledDotProductFusedAttentionOverrideable ScaledDotProductCudnnAttention ScaledDotProductAttentionMath YosoCumulation YosoLSHCumulation", "scaled_dot_product_attention _scaled_dot_product_flash_attention _scaled_dot_product_flash_attention_for_cpu _scaled_dot_product_efficient_attention _scaled_dot_product_attention_math", "Attention:3 MultiHeadAttention:3 com.microsoft.Attention:1 QAttention:1 GroupQueryAttention:3 PackedAttention:1 PackedMultiHeadAttention:3 DecoderMaskedMultiHeadAttention:3 LongformerAttention:1 SparseAttention:3 FlexAttention:3 LinearAttention:3"},
  {"batch_norm", kNormalization, W, "NativeBatchNorm CudnnBatchNorm BatchNorm", "batch_norm native_batch_norm _native_batch_norm_legit_no_training _native_batch_norm_legit", "BatchNormalization:1"},
  {"layer_norm", kNormalization, W, "NativeLayerNorm LayerNorm", "layer_norm native_layer_norm", "LayerNormalization:1 SkipLayerNormalization:2 EmbedLayerNormalization"},
  {"rms_norm", kNormalization, W, "FusedRmsNorm RmsNorm", "rms_norm _fused_rms_norm", "RMSNormalization:1 SimplifiedLayerNormalization:1 SkipSimplifiedLayerNormalization:2"},
  {"group_norm", kNormalization, W, "NativeGroupNorm GroupNorm", "group_norm native_group_norm", "GroupNormalization:1 GroupNorm:1 SkipGroupNorm:2"},
  {"instance_norm", kNormalization, W, "InstanceNorm", "instance_norm", "InstanceNormalization:1 MeanVarianceNormalization:1"},
  {"local_response_norm", kNormalization, 0, "", "local_response_norm", "LRN:1"},
  {"l2_norm", kNormalization, 0, "", "", "LpNormalization:1"},
  {"relu", kActivation, U, "Relu", "relu relu_", "Relu:1"},
  {"relu6", kActivation, U, "", "relu6", ""},
  {"leaky_relu", kActivation, U, "LeakyRelu", "leaky_relu leaky_relu_", "LeakyRelu:1 QLinearLeakyRelu:1"},
  {"prelu", kActivation, U | W, "PreluKernel Prelu", "prelu _prelu_kernel", "PRelu:1"},
  {"elu", kActivation, U, "Elu", "elu elu_", "Elu:1"},
  {"selu", kActivation, U, "Selu", "selu selu_", "Selu:1"},
  {"celu", kActivation, U, "Celu", "celu celu_", "Celu:1"},
  {"gelu", kActivation, U, "Gelu GeLUFunction", "gelu gelu_", "Gelu:1 FastGelu:1 QuickGelu:1 BiasGelu:1"},
  {"silu", kActivation, U, "Silu", "silu silu_", "Swish:1"},
  {"mish", kActivation, U, "Mish", "mish mish_", "Mish:1"},
  {"sigmoid", kActivation, U, "Sigmoid", "sigmoid sigmoid_", "Sigmoid:1 QLinearSigmoid:1"},
  {"log_sigmoid", kActivation, U, "LogSigmoid", "log_sigmoid log_sigmoid_forward", ""},
  {"hardsigmoid", kActivation, U, "Hardsigmoid", "hardsigmoid hardsigmoid_", "HardSigmoid:1"},
  {"hardswish", kActivation, U, "Hardswish", "hardswish hardswish_", "HardSwish:1"},
  {"tanh", kActivation, U, "Tanh", "tanh tanh_", "Tanh:1"},
  {"softplus", kActivation, U, "Softplus", "softplus", "Softplus:1"},
  {"softsign", kActivation, U, "", "softsign", "Softsign:1"},
  {"glu", kActivation, 0, "Glu", "glu", "SwiGLU:1 BiasSplitGelu:1"},
  {"threshold", kActivation, U, "Threshold", "threshold threshold_", "ThresholdedRelu:1"},
  {"softmax", kActivation, 0, "Softmax SafeSoftmax XSoftmax", "softmax _softmax _safe_softmax", "Softmax:1 QLinearSoftmax:1 BiasSoftmax:1"},
  {"log_softmax", kActivation, 0, "LogSoftmax", "log_softmax _log_softmax", "LogSoftmax:1"},
  {"clip", kElementwise, U, "Hardtanh Clamp ClampMin ClampMax", "hardtanh hardtanh_ clamp clamp_ clamp_min clamp_max clip", "Clip:1"},
  {"add", kElementwise, C, "Add", "add add_ _foreach_add", "Add Sum Mean QLinearAdd BiasAdd"},
  {"sub", kElementwise, 0, "Sub Rsub", "sub sub_ rsub subtract", "Sub"},
  {"mul", kElementwise, C, "Mul", "mul mul_ multiply", "Mul QLinearMul"},
  {"div", kElementwise, 0, "Div", "div div_ true_divide floor_divide divide", "Div"},
  {"pow", kElementwise, 0, "Pow", "pow pow_ square", "Pow"},
  {"sqrt", kElementwise, U, "Sqrt SqrtBoundDerivative", "sqrt sqrt_", "Sqrt:1"},
  {"rsqrt", kElementwise, U, "Rsqrt", "rsqrt rsqrt_", ""},
  {"exp", kElementwise, U, "Exp Expm1 Exp2", "exp exp_ expm1 exp2", "Exp:1"},
  {"log", kElementwise, U, "Log Log1P Log2 Log10 Lgamma", "log log_ log1p log2 log10 lgamma", "Log:1"},
  {"erf", kElementwise, U, "Erf", "erf erf_", "Erf:1"},
  {"abs", kElementwise, U, "Abs", "abs abs_ absolute", "Abs:1"},
  {"neg", kElementwise, U, "Neg", "neg neg_ negative", "Neg:1"},
  {"sign", kElementwise, U, "Sign Sgn", "sign", "Sign:1"},
  {"reciprocal", kElementwise, U, "Reciprocal", "reciprocal", "Reciprocal:1"},
  {"sin", kElementwise, U, "Sin", "sin", "Sin:1"},
  {"cos", kElementwise, U, "Cos", "cos", "Cos:1"},
  {"round", kElementwise, U, "Floor Ceil Round Trunc", "floor ceil round trunc", "Floor:1 Ceil:1 Round:1"},
  {"remainder", kElementwise, 0, "Remainder Fmod", "remainder fmod", "Mod"},
  {"maximum", kElementwise, C, "Maximum", "maximum", "Max"},
  {"minimum", kElementwise, C, "Minimum", "minimum", "Min"},
  {"where", kElementwise, 0, "Where MaskedFill NanToNum", "where masked_fill masked_fill_ nan_to_num", "Where"},
  {"compare", kElementwise, 0, "", "eq ne lt le gt ge logical_and logical_or logical_not bitwise_not isnan isinf", "Equal Less LessOrEqual Greater GreaterOrEqual And Or Not Xor IsNaN IsInf OptionalHasElement BitShift BitwiseAnd BitwiseOr BitwiseXor BitwiseNot"},
  {"lerp", kElementwise, 0, "Lerp", "lerp lerp_", ""},
  {"mean", kReduction, 0, "Mean", "mean", "ReduceMean:1"},
  {"sum", kReduction, 0, "Sum", "sum", "ReduceSum:1"},
  {"max", kReduction, 0, "Max Amax", "max amax", "ReduceMax:1"},
  {"min", kReduction, 0, "Min Amin", "min amin", "ReduceMin:1"},
  {"prod", kReduction, 0, "Prod", "prod", "ReduceProd:1"},
  {"variance", kReduction, 0, "Var Std VarMean StdMean", "var std var_mean std_mean", ""},
  {"norm", kReduction, 0, "LinalgVectorNorm Norm WeightNormInterface", "linalg_vector_norm norm frobenius_norm", "ReduceL2:1 ReduceL1:1 ReduceSumSquare:1"},
  {"logsumexp", kReduction, 0, "Logsumexp", "logsumexp", "ReduceLogSumExp:1 ReduceLogSum:1"},
  {"cumsum", kReduction, 0, "Cumsum Cumprod", "cumsum cumprod", "CumSum:1 CumProd:1"},
  {"argmax", kReduction, 0, "", "argmax argmin", "ArgMax:1 ArgMin:1 Hardmax:1"},
  {"max_pool", kPooling, 0, "MaxPool2DWithIndices MaxPool3DWithIndices MaxPool1D MaxPool2D", "max_pool1d max_pool2d max_pool3d max_pool2d_with_indices max_pool3d_with_indices max_pool1d_with_indices", "MaxPool:1 NhwcMaxPool:1"},
  {"avg_pool", kPooling, 0, "AvgPool2D AvgPool3D AvgPool1D", "avg_pool1d avg_pool2d avg_pool3d", "AveragePool:1 QLinearAveragePool:1"},
  {"adaptive_avg_pool", kPooling, 0, "AdaptiveAvgPool2D AdaptiveAvgPool3D AdaptiveAvgPool1D", "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d _adaptive_avg_pool2d _adaptive_avg_pool3d", ""},
  {"adaptive_max_pool", kPooling, 0, "AdaptiveMaxPool2D AdaptiveMaxPool3D", "adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d", ""},
  {"global_avg_pool", kPooling, 0, "", "", "GlobalAveragePool:1 QLinearGlobalAveragePool:1"},
  {"global_max_pool", kPooling, 0, "", "", "GlobalMaxPool:1"},
  {"lp_pool", kPooling, 0, "", "", "LpPool:1 GlobalLpPool:1"},
  {"identity", kLayout, T, "Alias Clone Identity Detach Copy CopyBackwards Conj ResolveConj", "alias clone detach contiguous _conj resolve_conj lift_fresh copy_ _to_copy to positive", "Identity:1 SequenceAt:1 SequenceErase:1 Optional:1 OptionalGetElement:1"},
  {"cast", kLayout, T, "ToCopy", "type_as", "Cast:1 CastLike:1 BitCast:1"},
  {"dropout", kLayout, T, "NativeDropout FusedDropout FeatureDropout", "dropout native_dropout feature_dropout alpha_dropout", "Dropout:1 BitmaskDropout:1"},
  {"reshape", kLayout, T, "View UnsafeView ReshapeAlias AsStrided ViewAsReal ViewAsComplex", "view view_as_real view_as_complex view_as reshape_as reshape _unsafe_view flatten unflatten _reshape_alias as_strided", "Reshape:1 Flatten:1"},
  {"squeeze", kLayout, T, "Squeeze Unsqueeze", "squeeze unsqueeze squeeze_ unsqueeze_", "Squeeze:1 Unsqueeze:1"},
  {"expand", kLayout, T, "Expand", "expand expand_as broadcast_to", "Expand:1"},
  {"permute", kLayout, 0, "Permute Transpose T Movedim", "permute transpose t movedim moveaxis swapaxes swapdims numpy_T mT adjoint", "Transpose:1"},
  {"repeat", kLayout, 0, "Repeat", "repeat tile repeat_interleave", "Tile:1"},
  {"roll", kLayout, 0, "Roll", "roll", ""},
  {"flip", kLayout, 0, "Flip", "flip", "ReverseSequence:1"},
  {"pad", kLayout, 0, "ConstantPadNd ReflectionPad2D ReflectionPad1D ReplicationPad2D ReplicationPad3D ReflectionPad3D ReplicationPad1D", "constant_pad_nd pad reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d replication_pad3d", "Pad:1 CenterCropPad:1"},
  {"concat", kLayout, C, "Cat Stack", "cat stack concat concatenate hstack vstack dstack column_stack", "Concat ConcatFromSequence SequenceConstruct SequenceInsert QLinearConcat"},
  {"split", kIndexing, 0, "Split SplitWithSizes Unbind Chunk UnsafeSplit UnsafeChunk TensorSplit", "split split_with_sizes unbind chunk tensor_split unsafe_split unsafe_chunk unsafe_split_with_sizes hsplit vsplit dsplit", "Split:1 SplitToSequence:1"},
  {"slice", kIndexing, 0, "Slice Select Narrow Diagonal", "slice select narrow diagonal", "Slice:1"},
  {"gather", kIndexing, 0, "Gather Index IndexSelect TakeAlongDim", "gather index index_select take_along_dim", "Gather GatherElements GatherND"},
  {"scatter", kIndexing, 0, "Scatter ScatterAdd ScatterReduce IndexReduce IndexPut IndexAdd IndexCopy IndexFill MaskedScatter CopySlices SliceScatter SelectScatter SegmentReduce DiagEmbed", "scatter scatter_add scatter_reduce index_reduce index_put index_put_ index_fill masked_scatter segment_reduce index_add index_copy slice_scatter select_scatter diag_embed", "ScatterND ScatterElements Scatter TensorScatter"},
  {"topk", kIndexing, 0, "Topk Sort", "topk sort argsort", "TopK:1"},
  {"triangle", kIndexing, 0, "Triu Tril", "triu tril", "Trilu:1"},
  {"one_hot", kIndexing, 0, "", "one_hot", "OneHot:1"},
  {"nonzero", kIndexing, 0, "MaskedSelect", "nonzero masked_select", "NonZero:1 Compress Unique:1"},
  {"lstm", kRecurrent, W, "Lstm MkldnnRnnLayer", "lstm", "LSTM:1"},
  {"gru", kRecurrent, W, "Gru", "gru", "GRU:1"},
  {"rnn", kRecurrent, W, "Rnn", "rnn_tanh rnn_relu", "RNN:1"},
  {"resize", kSpatial, 0, "UpsampleNearest2D UpsampleBilinear2D UpsampleBicubic2D UpsampleNearestExact2D UpsampleNearest1D UpsampleNearest3D UpsampleTrilinear3D UpsampleLinear1D UpsampleBilinear2DAa UpsampleBicubic2DAa", "_upsample_nearest_exact1d _upsample_nearest_exact2d upsample_nearest2d upsample_bilinear2d upsample_bicubic2d interpolate upsample_nearest1d upsample_trilinear3d upsample_linear1d _upsample_bilinear2d_aa _upsample_bicubic2d_aa upsample_nearest3d", "Resize:1 Upsample:1"},
  {"pixel_shuffle", kSpatial, 0, "PixelShuffle", "pixel_shuffle", "DepthToSpace:1"},
  {"pixel_unshuffle", kSpatial, 0, "PixelUnshuffle", "pixel_unshuffle", "SpaceToDepth:1"},
  {"grid_sample", kSpatial, 0, "GridSampler2D GridSampler3D", "grid_sampler grid_sampler_2d grid_sampler_3d", "GridSample"},
  {"affine_grid", kSpatial, 0, "AffineGridGenerator", "affine_grid_generator", "AffineGrid"},
  {"unfold", kSpatial, 0, "Im2Col Unfold", "im2col unfold", ""},
  {"fold", kSpatial, 0, "Col2Im", "col2im fold", "Col2Im:1"},
  {"roi_align", kSpatial, 0, "RoiAlign", "roi_align _roi_align", "RoiAlign MaxRoiPool CropAndResize"},
  {"nms", kSpatial, 0, "", "nms", "NonMaxSuppression"},
  {"deform_conv", kConvolution, W, "DeformConv2D", "deform_conv2d", "DeformConv"},
  {"cdist", kOther, 0, "Cdist EuclideanDist", "cdist _euclidean_dist", ""},
  {"fft", kOther, 0, "FftR2C FftC2R FftC2C", "_fft_r2c _fft_c2r _fft_c2c fft_fft fft_ifft", "DFT:1 STFT:1 Rfft:1 Irfft:1"},
  {"random", kOther, 0, "", "rand randn bernoulli", "RandomNormal RandomUniform RandomNormalLike:0 RandomUniformLike:0 Bernoulli:1 Multinomial:1"},
  {"dequantize", kLayout, T, "", "dequantize", "DequantizeLinear:1 QuantizeLinear:1 DynamicQuantizeLinear:1"},
  {"unknown/source", kSource, S, "", "", ""},
  {"unknown/linear", kLinear, 0, "", "", ""},
  {"unknown/normalization", kNormalization, 0, "", "", ""},
  {"unknown/activation", kActivation, 0, "", "", ""},
  {"unknown/elementwise", kElementwise, 0, "", "", ""},
  {"unknown/reduction", kReduction, 0, "", "", ""},
  {"unknown/pooling", kPooling, 0, "", "", ""},
  {"unknown/layout", kLayout, 0, "", "", ""},
  {"unknown/indexing", kIndexing, 0, "", "", ""},
  {"unknown/recurrent", kRecurrent, 0, "", "", ""},
  {"unknown/spatial", kSpatial, 0, "", "", ""},
  {"unknown/other", kOther, 0, "", "", ""},
  // Cells of NAS spaces: whole operations rather than single operators.
  {"nas/sep_conv", kConvolution, W, "", "", ""},
  {"nas/dil_conv", kConvolution, W, "", "", ""},
  {"nas/skip_connect", kLayout, 0, "", "", ""},
  {"nas/output", kOther, 0, "", "", ""},
  // ONNX: values that need no input (shapes included), and operators that torch does not spell.
  {"constant", kOther, 0, "", "", "Constant ConstantOfShape Shape Size SequenceLength EyeLike Range SequenceEmpty BlackmanWindow HammingWindow HannWindow MelWeightMatrix ConstantFill"},
  {"trigonometric", kElementwise, U, "Tan Asin Acos Atan Atan2 Polar Sinh Cosh Asinh Acosh Atanh", "tan asin acos atan atan2 polar arctan arctan2 sinh cosh asinh acosh atanh", "Tan:1 Asin:1 Acos:1 Atan:1 Sinh:1 Cosh:1 Asinh:1 Acosh:1 Atanh:1"},
  {"shrink", kActivation, U, "Hardshrink Softshrink", "hardshrink softshrink", "Shrink:1"},
  {"max_unpool", kPooling, 0, "MaxUnpool2D MaxUnpool3D", "max_unpool2d max_unpool3d", "MaxUnpool:1"},
  {"rotary_embedding", kAttention, 0, "", "", "RotaryEmbedding:1"},
  {"determinant", kOther, 0, "", "", "Det:1 Inverse:1"},
  {"affine", kElementwise, 0, "Addcmul", "addcmul addcmul_", ""},  // learnt scale and shift
  {"loss", kOther, 0, "MseLoss NllLoss NllLoss2D BinaryCrossEntropy BinaryCrossEntropyWithLogits KlDiv SmoothL1Loss HuberLoss", "mse_loss nll_loss nll_loss_forward cross_entropy_loss binary_cross_entropy binary_cross_entropy_with_logits kl_div smooth_l1_loss huber_loss", "NegativeLogLikelihoodLoss SoftmaxCrossEntropyLoss"},
  {"cross", kOther, 0, "LinalgCross Cross", "linalg_cross cross", ""},  // product of vectors in space
  {"logit", kElementwise, U, "Logit", "logit", ""},
  {"solve", kLinear, 0, "LinalgSolveTriangular TriangularSolve", "linalg_solve_triangular triangular_solve", ""},
});
// clang-format on
}  // namespace operator_rows

/// The table, in id order.
inline constexpr const auto& kOperatorTable = operator_rows::kTable;

}  // namespace narfast
