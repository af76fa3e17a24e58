package org.lvtmobile.app

import android.Manifest
import android.app.Activity
import android.content.ActivityNotFoundException
import android.content.Intent
import android.content.pm.PackageManager
import android.content.res.Configuration
import android.net.Uri
import android.os.Build
import android.os.Bundle
import android.provider.Settings
import android.view.Surface
import android.window.OnBackInvokedCallback
import android.window.OnBackInvokedDispatcher
import java.io.IOException

/**
 * The main screen. Connects the view with the state in [DemoHolder], which survives this activity, and asks Android
 * for permissions, photos and apps to share with.
 */
class MainActivity : Activity(), DemoScreen, DemoActions {
    private lateinit var view: DemoView
    private lateinit var holder: DemoHolder
    private var permissionRequested = false
    private var bound = DemoState()
    private var backCallback: Any? = null

    /** What the screen shows. */
    internal val state: DemoState get() = holder.state

    @Suppress("DEPRECATION") // its replacement is part of AndroidX
    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.R) window.setDecorFitsSystemWindows(false)
        permissionRequested = savedInstanceState?.getBoolean(REQUESTED_KEY) ?: false
        val retained = lastNonConfigurationInstance as? DemoHolder
        holder = retained ?: DemoHolder(demo)
        view = DemoView(this, demo.runtimes(), this)
        setContentView(view.root)
        holder.attach(this)
        if (retained == null) savedInstanceState?.getString(PHOTO_KEY)?.let { holder.openPhoto(Uri.parse(it)) }
    }

    @Suppress("OVERRIDE_DEPRECATION") // its replacement is part of AndroidX
    override fun onRetainNonConfigurationInstance(): Any = holder

    /** For a new process; if only the activity is recreated, [DemoHolder] keeps the state. */
    override fun onSaveInstanceState(outState: Bundle) {
        super.onSaveInstanceState(outState)
        outState.putString(PHOTO_KEY, holder.photoUri?.toString())
        outState.putBoolean(REQUESTED_KEY, permissionRequested)
    }

    override fun onResume() {
        super.onResume()
        updateRotation()
        holder.setVisible(true)
    }

    override fun onPause() {
        holder.setVisible(false)
        super.onPause()
    }

    override fun onDestroy() {
        if (isChangingConfigurations) holder.attach(null) else holder.close()
        super.onDestroy()
    }

    override fun onConfigurationChanged(newConfig: Configuration) {
        super.onConfigurationChanged(newConfig)
        updateRotation()
        view.arrange(newConfig)
    }

    /** The rotation of the display that shows this activity; a phone can have several. */
    @Suppress("DEPRECATION") // its replacement needs Android 11; of an activity, both are the same
    private fun updateRotation() {
        holder.setDisplayRotation(
            when (windowManager.defaultDisplay.rotation) {
                Surface.ROTATION_90 -> 90
                Surface.ROTATION_180 -> 180
                Surface.ROTATION_270 -> 270
                else -> 0
            },
        )
    }

    // DemoScreen.

    override fun bind(state: DemoState) {
        val before = bound
        bound = state
        view.bind(state)
        updateBackCallback(state.panel != null)
        if (state.live && !before.live) startCamera()
    }

    override fun showFrame(frame: Frame) = view.frameView.showFrame(frame)

    override fun showResult(result: FrameResult, withFrame: Boolean) = view.frameView.showResult(result, withFrame)

    override fun clearPicture() = view.frameView.clear()

    // The camera permission.

    private fun startCamera() {
        when {
            checkSelfPermission(Manifest.permission.CAMERA) == PackageManager.PERMISSION_GRANTED -> {
                updateRotation()
                holder.startCamera()
            }
            !permissionRequested -> requestCameraPermission()
            shouldShowRequestPermissionRationale(Manifest.permission.CAMERA) ->
                holder.showNotice(Phrase(R.string.camera_forbidden), NoticeAction.ALLOW_CAMERA)
            else -> holder.showNotice(Phrase(R.string.camera_forbidden), NoticeAction.OPEN_SETTINGS)
        }
    }

    private fun requestCameraPermission() {
        permissionRequested = true
        requestPermissions(arrayOf(Manifest.permission.CAMERA), CAMERA_REQUEST)
    }

    override fun onRequestPermissionsResult(requestCode: Int, permissions: Array<String>, grantResults: IntArray) {
        if (holder.state.live) startCamera()
    }

    // DemoActions.

    override fun select(settings: RunSettings) = holder.select(settings)

    override fun compare(settings: RunSettings?) = holder.compare(settings)

    override fun setDisplay(options: DisplayOptions) = holder.setDisplay(options)

    override fun togglePause() = holder.togglePause()

    override fun toggleComparison() = holder.toggleComparison()

    override fun show(panel: Panel?) = holder.show(panel)

    override fun selectSegment(key: Int?) = holder.selectSegment(key)

    override fun toggleIsolation() = holder.toggleIsolation()

    override fun onPreviewSurface(surface: Surface?) = holder.setPreviewSurface(surface)

    override fun photoOrCamera() = if (holder.state.photo) holder.closePhoto() else choosePhoto()

    override fun onNotice(action: NoticeAction) {
        holder.dismissNotice()
        when (action) {
            NoticeAction.RETRY_CAMERA -> if (holder.state.live) startCamera()
            NoticeAction.ALLOW_CAMERA -> requestCameraPermission()
            NoticeAction.OPEN_SETTINGS -> startExternal(appSettings(), ::startActivity) // onResume checks again
            NoticeAction.CHOOSE_MODEL -> holder.show(Panel.SETTINGS)
            NoticeAction.SEARCH_MODELS -> holder.reload()
            NoticeAction.CHOOSE_PHOTO -> choosePhoto()
            NoticeAction.DISMISS -> Unit
        }
    }

    private fun appSettings() =
        Intent(Settings.ACTION_APPLICATION_DETAILS_SETTINGS, Uri.fromParts("package", packageName, null))

    @Suppress("DEPRECATION") // its replacement is part of AndroidX
    private fun choosePhoto() {
        val intent = Intent(Intent.ACTION_GET_CONTENT).setType("image/*").addCategory(Intent.CATEGORY_OPENABLE)
        startExternal(intent) { startActivityForResult(it, PHOTO_REQUEST) }
    }

    @Suppress("OVERRIDE_DEPRECATION") // its replacement is part of AndroidX
    override fun onActivityResult(requestCode: Int, resultCode: Int, data: Intent?) {
        val uri = data?.data
        if (requestCode == PHOTO_REQUEST && resultCode == RESULT_OK && uri != null) holder.openPhoto(uri)
    }

    override fun shareReport() = startExternal(shareText(holder.state.report(this)), ::startActivity)

    override fun sharePicture() {
        val picture = view.frameView.snapshot() ?: return
        val text = holder.state.report(this)
        holder.inFiles {
            try {
                val intent = sharePicture(demo, picture, text)
                return@inFiles { startExternal(intent, ::startActivity) }
            } catch (error: IOException) {
                return@inFiles {
                    holder.showNotice(Phrase(R.string.cannot_share, error.message.orEmpty()), NoticeAction.DISMISS)
                }
            }
        }
    }

    private fun startExternal(intent: Intent, starter: (Intent) -> Unit) {
        if (isDestroyed) return
        try {
            starter(intent)
        } catch (_: ActivityNotFoundException) {
            holder.showNotice(Phrase(R.string.no_app_for_action), NoticeAction.DISMISS)
        }
    }

    // Back closes a panel. Android 13 and newer ask in advance who wants to know.

    private fun updateBackCallback(wanted: Boolean) {
        if (Build.VERSION.SDK_INT < Build.VERSION_CODES.TIRAMISU || wanted == (backCallback != null)) return
        if (wanted) {
            val callback = OnBackInvokedCallback { holder.show(null) }
            onBackInvokedDispatcher.registerOnBackInvokedCallback(OnBackInvokedDispatcher.PRIORITY_DEFAULT, callback)
            backCallback = callback
        } else {
            onBackInvokedDispatcher.unregisterOnBackInvokedCallback(backCallback as OnBackInvokedCallback)
            backCallback = null
        }
    }

    @Suppress("OVERRIDE_DEPRECATION", "DEPRECATION") // for Android 12 and older
    override fun onBackPressed() {
        if (holder.state.panel != null) holder.show(null) else super.onBackPressed()
    }

    private companion object {
        const val CAMERA_REQUEST = 1
        const val PHOTO_REQUEST = 2
        const val PHOTO_KEY = "photo"
        const val REQUESTED_KEY = "camera permission requested"
    }
}
